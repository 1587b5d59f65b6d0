"""The page on which a phone runs a bundle with its own camera: put together, served, and shown as a QR code."""

from .certificate import Certificate, self_made, supplied
from .server import PhoneServer
from .site import Site, build_site, write_site

__all__ = ["Certificate", "PhoneServer", "Site", "build_site", "self_made", "supplied", "write_site"]
