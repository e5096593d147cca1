from django.apps import AppConfig


class EvidenceConfig(AppConfig):
    name = "hq.evidence"
    label = "evidence"
