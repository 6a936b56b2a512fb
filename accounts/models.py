from knox.models import AuthToken


class Token(AuthToken):
    """An API token, as it may be shown: by its key, the first characters. Knox keeps a digest of the whole."""

    class Meta:
        proxy = True
        verbose_name = "API token"

    def __str__(self) -> str:
        return f"{self.token_key}… of {self.user}"
