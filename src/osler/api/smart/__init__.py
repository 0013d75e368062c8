"""SMART on FHIR: the authorization server, its clients, tokens and launches.

People are beside this, in :mod:`osler.api.people`: here stands what a program may do, alone or in a person's name.
"""
