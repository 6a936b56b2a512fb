"""The pages for visitors."""

from django.apps import AppConfig


class PagesConfig(AppConfig):
    name = "pages"
