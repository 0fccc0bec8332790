"""MESH, the message exchange of the NHS, as a channel."""

from fhirbridge.adapters.mesh.channel import MeshChannel as MeshChannel
from fhirbridge.adapters.mesh.client import Post as Post
