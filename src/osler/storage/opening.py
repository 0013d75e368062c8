"""Which store of blobs the configuration asks for."""

from pathlib import Path
from typing import Literal

from osler.config import Config
from osler.errors import ConfigError
from osler.storage.blobs import Blobs, FolderBlobs, Sealer
from osler.storage.private_files import read_private
from osler.storage.s3_blobs import S3Blobs, S3Settings

Zone = Literal["identified", "deidentified"]


def open_blobs(config: Config, zone: Zone, *, sealer: Sealer | None = None) -> Blobs:
    """Open the blobs of one zone.

    Parameters
    ----------
    config : Config
    zone : {"identified", "deidentified"}
    sealer : Sealer, optional
        Encrypts what is kept; what is identified needs one.

    Raises
    ------
    ConfigError
        If the store cannot be opened as configured.
    """
    if in_bucket(config):
        return S3Blobs(_s3_settings(config), zone, sealer=sealer)
    return FolderBlobs(blob_folder(config) / zone, sealer=sealer, min_free_bytes=watermark(config))


def in_bucket(config: Config) -> bool:
    """Tell whether blobs are in S3."""
    return config.text("storage.blobs").startswith("s3://")


def blob_folder(config: Config) -> Path:
    """Return the folder of blobs, and of what stays on this machine when they are in S3."""
    place = config.text("storage.blobs")
    return config.data_dir / "blobs" if place == "folder" or in_bucket(config) else Path(place)


def watermark(config: Config) -> int:
    """Return the least room that a disk must keep, bytes."""
    return config.integer("storage.min_free_mb") * 1_000_000


def _s3_settings(config: Config) -> S3Settings:
    ca_file = config.text("storage.s3_ca_file")
    return S3Settings(
        url=config.text("storage.blobs"),
        endpoint=config.text("storage.s3_endpoint"),
        region=config.text("storage.s3_region"),
        key_id=config.text("storage.s3_key_id"),
        secret=_secret(config),
        encryption=config.text("storage.s3_encryption"),
        kms_key=config.text("storage.s3_kms_key"),
        ca_file=Path(ca_file) if ca_file else None,
        timeout_s=config.number("storage.s3_timeout_s"),
    )


def _secret(config: Config) -> str:
    file = config.text("storage.s3_secret_file")
    if not file:
        return config.text("storage.s3_secret")
    try:
        return read_private(Path(file)).decode().strip()
    except UnicodeDecodeError:
        raise ConfigError(f"{config.origins['storage.s3_secret_file']}: {file} is not text") from None
