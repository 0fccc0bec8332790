"""Letters and notices: what is sent to people, in plain words, as an accessible PDF and as structured content.

Words and form are kept apart. The words are YAML (`texts/`, one file for each kind of letter): the policy's own message
stands in them as `{message}`, so that a policy's wording is written once, in its pack. The form is Typst (`layout/`);
it is given finished text as data, so that nothing in a name or an address is ever taken for markup. Between the two
stands the `Letter`: everything that a reader will see, as plain values.

Whom it is for decides what it says about the patient: see `audiences`.
"""

from fhirbridge.letters.content import enclosed as enclosed
from fhirbridge.letters.letter import Letter as Letter
from fhirbridge.letters.letter import Letterhead as Letterhead
from fhirbridge.letters.letter import Section as Section
from fhirbridge.letters.typesetting import png as png
from fhirbridge.letters.typesetting import typeset as typeset
from fhirbridge.letters.writing import Matter as Matter
from fhirbridge.letters.writing import Stationery as Stationery
from fhirbridge.letters.writing import write as write
