from django.apps import AppConfig


class RetentionConfig(AppConfig):
    name = "hq.retention"
    label = "retention"
