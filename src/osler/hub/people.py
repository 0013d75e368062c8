"""People as the settings want them."""

from pathlib import Path

from osler.api.people.identity_provider import ProviderSettings
from osler.api.people.roles import Role
from osler.api.people.service import People, Policy
from osler.config import Config
from osler.errors import ConfigError
from osler.stores import Stores


def open_people(config: Config, stores: Stores) -> People:
    """Make what serves people.

    Raises
    ------
    ConfigError
        As :func:`policy_of`.
    """
    return People.open(
        stores.database,
        keys=stores.keyring,
        base_url=config.base_url,
        site=config.text("site.name"),
        policy=policy_of(config),
    )


def policy_of(config: Config) -> Policy:
    """Return what the settings say about people.

    Raises
    ------
    ConfigError
        If a setting names a role that does not exist, or a time of nothing.
    """
    return Policy(
        idle_s=_above_zero(config, "session.idle_minutes") * 60,
        absolute_s=_above_zero(config, "session.absolute_hours") * 3600,
        max_failures=int(_above_zero(config, "session.max_failures")),
        require_mfa=frozenset(
            _role(config, "session.require_mfa", name) for name in config.items("session.require_mfa")
        ),
        glass_s=_above_zero(config, "access.break_glass_minutes") * 60,
        provider=_provider(config) if config.text("oidc.issuer") else None,
    )


def _provider(config: Config) -> ProviderSettings:
    if not config.text("oidc.client_id"):
        raise ConfigError(f"{config.origins['oidc.issuer']}: oidc.issuer needs oidc.client_id too")
    roles: dict[str, Role] = {}
    for line in config.items("oidc.roles"):
        said, equals, role = line.rpartition("=")
        if not equals:
            raise ConfigError(f"{config.origins['oidc.roles']}: oidc.roles: write {line!r} as WHAT-IT-SAYS=ROLE")
        roles.setdefault(said.strip(), _role(config, "oidc.roles", role.strip()))
    return ProviderSettings(
        issuer=config.text("oidc.issuer"),
        client_id=config.text("oidc.client_id"),
        client_secret=_secret(config),
        name=config.text("oidc.name"),
        scope=config.text("oidc.scope"),
        name_claim=config.text("oidc.name_claim"),
        role_claim=config.text("oidc.role_claim"),
        roles=roles,
        hosts=frozenset(config.items("oidc.allowed_hosts")),
    )


def _secret(config: Config) -> str:
    file = config.text("oidc.client_secret_file")
    if not file:
        return config.text("oidc.client_secret")
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"{config.origins['oidc.client_secret_file']}: {file} cannot be read") from None


def _above_zero(config: Config, name: str) -> float:
    value = config.number(name)
    if value <= 0:
        raise ConfigError(f"{config.origins[name]}: {name} must be more than 0")
    return value


def _role(config: Config, setting: str, name: str) -> Role:
    try:
        return Role(name)
    except ValueError:
        roles = ", ".join(Role)
        raise ConfigError(f"{config.origins[setting]}: {setting}: {name!r} is none of {roles}") from None
