"""E-mail that leaves after the answer: how long that takes must not tell whether there is somebody to write to."""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from django.core.mail import EmailMessage
from django.core.mail.backends.smtp import EmailBackend

logger = logging.getLogger(__name__)

# One at a time. What waits when the process ends is lost: whoever asked for it asks again.
_sender = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mail")


class Later(EmailBackend):
    """Sends over SMTP in a thread of its own."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Hand the messages over; returns how many there are."""
        _sender.submit(self._send_now, email_messages)
        return len(email_messages)

    def _send_now(self, messages: Sequence[EmailMessage]) -> None:
        try:
            super().send_messages(messages)
        except OSError as error:
            # Neither address nor text: the text carries the link.
            logger.error("An e-mail was not sent: %s. Check EMAIL_URL.", type(error).__name__)
