"""For tests of ours and of plugin authors: the contract tests, fakes and sample studies."""

from osler.testing.clock import FakeClock
from osler.testing.models import FakeModel
from osler.testing.plugin import check_plugin
from osler.testing.recogniser import check_recogniser

__all__ = ["FakeClock", "FakeModel", "check_plugin", "check_recogniser"]
