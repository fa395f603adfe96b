"""The fixtures of local_world, which its tests import the rest from."""

from tests.integration.controller_local.local_world import build as build
from tests.integration.controller_local.local_world import data as data
