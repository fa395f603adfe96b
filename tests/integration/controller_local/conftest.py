"""The fixtures of local_world, which its tests import the rest from."""

from local_world import build as build
from local_world import data as data
