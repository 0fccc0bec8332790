"""The demonstration: a sample EPR, a sample caseload and the real service, played through a few weeks in virtual time.

Nothing of the service is replaced but two things that tell the time: its clock is the story's, and what the EPR says
about when it stored a version is translated from the machine's time into the story's.
"""
