"""Settings that may also be read from files: one a setting, named like its environment variable in small letters.

GANVAS_SECRETS_DIR names the folder, as Docker, Kubernetes and systemd mount secrets: a password in a file is in no
`docker inspect` and in no process's environment.
"""

import os
from pathlib import Path

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SecretsSettingsSource

SECRETS_DIR = "GANVAS_SECRETS_DIR"


class SecretsDirMissing(OSError):
    """GANVAS_SECRETS_DIR names something that is not a folder."""


class SecretSettings(BaseSettings):
    """Settings from arguments, then the environment, then the files below GANVAS_SECRETS_DIR."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return where settings come from; raises SecretsDirMissing."""
        folder = os.environ.get(SECRETS_DIR)
        if not folder:
            return init_settings, env_settings
        if not Path(folder).is_dir():
            raise SecretsDirMissing(f"{SECRETS_DIR} names {folder}, which is no folder here.")
        return init_settings, env_settings, SecretsSettingsSource(settings_cls, secrets_dir=folder)
