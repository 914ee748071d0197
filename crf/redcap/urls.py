"""The one address of REDCap's API; without the slash it is served too, because a redirect would lose the body."""

from django.urls import path

from crf.redcap.door import redcap_api

urlpatterns = [
    path("redcap/api/", redcap_api, name="redcap"),
    path("redcap/api", redcap_api, name="redcap-without-slash"),
]
