"""People: who they are, how they sign in, what their role allows, and the pages for it.

Programs and what they are granted stand beside this, in SMART's terms; a person only ever narrows what a program gets.
"""

from osler.api.people.service import People

__all__ = ["People"]
