"""The dry run: what the service would have written by an instant, had these records reached it as they were stored.

The same `settle` that the service decides with is driven by a virtual clock: for each patient it jumps from one
version becoming known to the next, and to every timer in between. Nothing is sent. What comes out depends on the set of
versions that went in and on nothing else, neither their order nor their number.
"""

from fhirbridge.simulation.account import account as account
from fhirbridge.simulation.collecting import Patient as Patient
from fhirbridge.simulation.collecting import collect as collect
from fhirbridge.simulation.outages import Outage as Outage
from fhirbridge.simulation.playing import DryRun as DryRun
from fhirbridge.simulation.playing import Written as Written
from fhirbridge.simulation.playing import final as final
from fhirbridge.simulation.playing import final_lines as final_lines
from fhirbridge.simulation.playing import play as play
from fhirbridge.simulation.playing import played as played
from fhirbridge.simulation.reading import read as read
from fhirbridge.simulation.spreading import Counts as Counts
from fhirbridge.simulation.spreading import Line as Line
from fhirbridge.simulation.spreading import Yield as Yield
from fhirbridge.simulation.spreading import spread as spread
from fhirbridge.simulation.standing import standing as standing
