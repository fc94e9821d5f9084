"""Makes the channels that the settings name."""

from __future__ import annotations

from keyvault_svc.notification_settings import NotificationSettings
from keyvault_svc.notifications.channel import Channel
from keyvault_svc.notifications.mail import MailChannel
from keyvault_svc.notifications.webhooks import WebhookChannel
from svc_runtime.clock import Clock


def open_channels(settings: NotificationSettings, clock: Clock) -> list[Channel]:
    """Return a channel for each receiver, called in logs as its place in the settings.

    Raises:
        SettingsError: A secret or a CA cannot be used.
    """
    channels: list[Channel] = [
        WebhookChannel(f"webhooks[{index}]", webhook, clock)
        for index, webhook in enumerate(settings.webhooks)
    ]
    if settings.mail is not None:
        channels.append(MailChannel("mail", settings.mail))
    return channels
