"""The casebook: cases that a clinician can read, played through the mapping and the policies, and compared.

A case file (`fixtures/cases/<pack>/<name>.yaml`) is a record in shorthand, a clock and all that has to be written.
`chart` expands the shorthand to FHIR R4 resources, `playing` runs them through mapping, decision and rendering in
virtual time, `comparing` holds what was written against what the case expects, and `pages` turns packs and cases into
`docs/pathways/`. `fixtures/README.md` describes the format. `python -m fhirbridge.casebook --help` lists what it does.
"""
