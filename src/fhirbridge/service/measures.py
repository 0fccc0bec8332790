"""What the service counts, for Prometheus. Labels are names from the configuration and FHIR types, never a patient."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

EVENTS = Counter("fhirbridge_events_total", "Events accepted into the inbox", ["epr"])
REFUSED = Counter("fhirbridge_notifications_refused_total", "Notifications answered with an error", ["status"])
DIGESTED = Counter("fhirbridge_events_digested_total", "Inbox rows closed", ["epr"])
SKIPPED = Counter("fhirbridge_resources_skipped_total", "Resources the service has no use for", ["epr", "type"])
UNREADABLE = Counter("fhirbridge_resources_unreadable_total", "Resources no fact could be made of", ["epr", "type"])
DECISIONS = Counter("fhirbridge_decisions_total", "Decisions committed", ["epr"])
UNCOVERED = Counter("fhirbridge_uncovered_total", "Decisions on patients with a case that no pack is for", ["epr"])
WRITES = Counter("fhirbridge_writes_total", "Writes decided", ["epr", "type", "verb"])
DELIVERED = Counter("fhirbridge_deliveries_total", "Outbox rows the EPR accepted", ["epr"])
DEAD_LETTERS = Counter("fhirbridge_dead_letters_total", "Outbox rows the EPR refused for good", ["epr"])
LETTERS = Counter("fhirbridge_letters_total", "Letters written, or not", ["action", "what"])
CONFIRMED = Counter("fhirbridge_confirmed_total", "Own writes that came back as they were written", ["epr", "type"])
LOOPS = Counter("fhirbridge_loops_total", "Times that writes were held back as another system answers them", ["epr"])
DISPATCHED = Counter(
    "fhirbridge_dispatches_total", "Messages that a channel took over, or refused", ["channel", "what"]
)
REPORTS = Counter("fhirbridge_reports_total", "What channels and receivers reported of messages", ["channel", "report"])
DEAD = Gauge("fhirbridge_dead_letters_waiting", "Outbox rows the EPR refused, not tried again", ["epr"])
OVERDUE = Gauge("fhirbridge_dead_letters_overdue", "Those of them whose obligation was due by now", ["epr"])
DOUBLES = Counter("fhirbridge_doubles_total", "Resources of ours that the EPR held twice", ["epr", "type"])
PURGED = Counter("fhirbridge_rows_purged_total", "Settled rows that were let go of")
LEFT_ALONE = Gauge("fhirbridge_epr_left_alone", "Whether the EPR is left alone because it does not answer", ["epr"])
FAILURES = Counter("fhirbridge_failures_total", "What went wrong in the background", ["doing", "error"])
GAPS_OPENED = Counter("fhirbridge_gaps_opened_total", "Gaps in what is known of an EPR", ["epr", "cause"])
GAPS_CLOSED = Counter("fhirbridge_gaps_closed_total", "Gaps that have been read", ["epr", "cause"])
GAPS = Gauge("fhirbridge_gaps_open", "Gaps that are open", ["epr"])
OLDEST_GAP = Gauge("fhirbridge_gap_oldest_seconds", "Age of the oldest open gap; 0 without any", ["epr"])
