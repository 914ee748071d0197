"""Create one event, or many: REST framework as its tutorial has it."""

from typing import Any

from django.urls import path
from rest_framework import generics, serializers

from tests.bench.bare.models import BareEvent


class ManyEvents(serializers.ListSerializer[Any]):
    """Saves a list in one go."""

    def create(self, validated_data: Any) -> Any:
        """Insert all rows with `bulk_create`."""
        return BareEvent.objects.bulk_create(BareEvent(**values) for values in validated_data)


class EventSerializer(serializers.ModelSerializer[BareEvent]):
    """Every field of the row."""

    class Meta:
        model = BareEvent
        fields = "__all__"
        list_serializer_class = ManyEvents


class Create(generics.CreateAPIView[BareEvent]):
    """One event."""

    queryset = BareEvent.objects.all()
    serializer_class = EventSerializer


class CreateMany(Create):
    """A list of events."""

    def get_serializer(self, *args: Any, **kwargs: Any) -> Any:
        """Return the serializer of a list."""
        return super().get_serializer(*args, many=True, **kwargs)


urlpatterns = [path("events/", Create.as_view()), path("many/", CreateMany.as_view())]
