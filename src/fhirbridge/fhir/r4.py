"""FHIR R4 (4.0.1) as tables: what the resource types are called, and what R4 requires of those the service reads.

Hand-written and small on purpose. A complete validator costs a hundred times as much per resource and stops short of
the bindings that matter here; these tables hold exactly the elements whose absence or nonsense would make a fact
wrong. Everything else in a resource is the EPR's own business.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

Resource = dict[str, Any]
"""A FHIR resource as parsed JSON."""

FHIR_JSON = "application/fhir+json"
"""The media type of FHIR in JSON (hl7.org/fhir/R4/json.html)."""


def objects(value: object) -> list[Resource]:
    """The objects of a list in a resource of which nothing is sure; none where it is no list."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _codes(text: str) -> frozenset[str]:
    return frozenset(text.split())


RESOURCE_TYPES = _codes(
    """
    Account ActivityDefinition AdverseEvent AllergyIntolerance Appointment AppointmentResponse AuditEvent Basic Binary
    BiologicallyDerivedProduct BodyStructure Bundle CapabilityStatement CarePlan CareTeam CatalogEntry ChargeItem
    ChargeItemDefinition Claim ClaimResponse ClinicalImpression CodeSystem Communication CommunicationRequest
    CompartmentDefinition Composition ConceptMap Condition Consent Contract Coverage CoverageEligibilityRequest
    CoverageEligibilityResponse DetectedIssue Device DeviceDefinition DeviceMetric DeviceRequest DeviceUseStatement
    DiagnosticReport DocumentManifest DocumentReference EffectEvidenceSynthesis Encounter Endpoint EnrollmentRequest
    EnrollmentResponse EpisodeOfCare EventDefinition Evidence EvidenceVariable ExampleScenario ExplanationOfBenefit
    FamilyMemberHistory Flag Goal GraphDefinition Group GuidanceResponse HealthcareService ImagingStudy Immunization
    ImmunizationEvaluation ImmunizationRecommendation ImplementationGuide InsurancePlan Invoice Library Linkage List
    Location Measure MeasureReport Media Medication MedicationAdministration MedicationDispense MedicationKnowledge
    MedicationRequest MedicationStatement MedicinalProduct MedicinalProductAuthorization
    MedicinalProductContraindication MedicinalProductIndication MedicinalProductIngredient
    MedicinalProductInteraction MedicinalProductManufactured MedicinalProductPackaged MedicinalProductPharmaceutical
    MedicinalProductUndesirableEffect MessageDefinition MessageHeader MolecularSequence NamingSystem NutritionOrder
    Observation ObservationDefinition OperationDefinition OperationOutcome Organization OrganizationAffiliation
    Parameters Patient PaymentNotice PaymentReconciliation Person PlanDefinition Practitioner PractitionerRole
    Procedure Provenance Questionnaire QuestionnaireResponse RelatedPerson RequestGroup ResearchDefinition
    ResearchElementDefinition ResearchStudy ResearchSubject RiskAssessment RiskEvidenceSynthesis Schedule
    SearchParameter ServiceRequest Slot Specimen SpecimenDefinition StructureDefinition StructureMap Subscription
    Substance SubstanceNucleicAcid SubstancePolymer SubstanceProtein SubstanceReferenceInformation
    SubstanceSourceMaterial SubstanceSpecification SupplyDelivery SupplyRequest Task TerminologyCapabilities
    TestReport TestScript ValueSet VerificationResult VisionPrescription
    """
)
"""Every resource type of R4 (hl7.org/fhir/R4/resourcelist.html)."""


DATATYPES = _codes(
    """
    Base64Binary Boolean Canonical Code Date DateTime Decimal Id Instant Integer Markdown Oid PositiveInt String Time
    UnsignedInt Uri Url Uuid Address Age Annotation Attachment CodeableConcept Coding ContactDetail ContactPoint
    Contributor Count DataRequirement Distance Dosage Duration Expression HumanName Identifier Meta Money
    ParameterDefinition Period Quantity Range Ratio Reference RelatedArtifact SampledData Signature Timing
    TriggerDefinition UsageContext
    """
)
"""The data types of R4 that a choice element may have, as they end its name: `valueDateTime`."""


class Shape(Struct, frozen=True, kw_only=True):
    """What R4 requires of one resource type, as far as the service depends on it.

    `required` are elements that must be there, `codes` the required bindings of top-level codes, `concepts` those of
    top-level CodeableConcepts as (element, system, codes). `instants`, `date_times` and `dates` are elements of these
    types and `periods` elements of type Period; a dotted name goes through an object or a list.
    """

    required: tuple[str, ...] = ()
    codes: tuple[tuple[str, frozenset[str]], ...] = ()
    concepts: tuple[tuple[str, str, frozenset[str]], ...] = ()
    instants: tuple[str, ...] = ()
    date_times: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()
    periods: tuple[str, ...] = ()


_PRIORITY = ("priority", _codes("routine urgent asap stat"))
_GENDER = ("gender", _codes("male female other unknown"))
_REQUEST_STATUS = _codes("draft active on-hold revoked completed entered-in-error unknown")
_REQUEST_INTENT = _codes("proposal plan directive order original-order reflex-order filler-order instance-order option")
_CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
_VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"

SHAPES: dict[str, Shape] = {
    "Appointment": Shape(
        required=("status",),
        codes=(
            (
                "status",
                _codes(
                    "proposed pending booked arrived fulfilled cancelled noshow entered-in-error checked-in waitlist"
                ),
            ),
        ),
        instants=("start", "end"),
        date_times=("created",),
        periods=("requestedPeriod",),
    ),
    "Encounter": Shape(
        required=("status",),
        codes=(
            (
                "status",
                _codes("planned arrived triaged in-progress onleave finished cancelled entered-in-error unknown"),
            ),
        ),
        periods=("period", "participant.period", "statusHistory.period"),
    ),
    "EpisodeOfCare": Shape(
        required=("status",),
        codes=(("status", _codes("planned waitlist active onhold finished cancelled entered-in-error")),),
        periods=("period", "statusHistory.period"),
    ),
    "Patient": Shape(codes=(_GENDER,), dates=("birthDate",), date_times=("deceasedDateTime",)),
    "RelatedPerson": Shape(codes=(_GENDER,), dates=("birthDate",), periods=("period",)),
    "ServiceRequest": Shape(
        required=("status", "intent"),
        codes=(("status", _REQUEST_STATUS), ("intent", _REQUEST_INTENT), _PRIORITY),
        date_times=("authoredOn", "occurrenceDateTime"),
        periods=("occurrencePeriod",),
    ),
    "Flag": Shape(
        required=("status",),
        codes=(("status", _codes("active inactive entered-in-error")),),
        periods=("period",),
    ),
    "Condition": Shape(
        concepts=(
            ("clinicalStatus", _CLINICAL, _codes("active recurrence relapse inactive remission resolved")),
            (
                "verificationStatus",
                _VERIFICATION,
                _codes("unconfirmed provisional differential confirmed refuted entered-in-error"),
            ),
        ),
        date_times=("onsetDateTime", "abatementDateTime", "recordedDate"),
        periods=("onsetPeriod", "abatementPeriod"),
    ),
    "Consent": Shape(
        required=("status",),
        codes=(("status", _codes("draft proposed active rejected inactive entered-in-error")),),
        date_times=("dateTime",),
        periods=("provision.period", "provision.provision.period"),
    ),
    "CareTeam": Shape(
        codes=(("status", _codes("proposed active suspended inactive entered-in-error")),),
        periods=("period", "participant.period"),
    ),
    "CarePlan": Shape(
        required=("status", "intent"),
        codes=(("status", _REQUEST_STATUS), ("intent", _codes("proposal plan order option"))),
        date_times=("created",),
        periods=("period",),
    ),
    "Task": Shape(
        required=("status", "intent"),
        codes=(
            (
                "status",
                _codes(
                    "draft requested received accepted rejected ready cancelled in-progress on-hold failed completed "
                    "entered-in-error"
                ),
            ),
            (
                "intent",
                _codes("unknown proposal plan order original-order reflex-order filler-order instance-order option"),
            ),
            _PRIORITY,
        ),
        date_times=("authoredOn", "lastModified"),
        periods=("executionPeriod", "restriction.period"),
    ),
    "Communication": Shape(
        required=("status",),
        codes=(
            (
                "status",
                _codes("preparation in-progress not-done on-hold stopped completed entered-in-error unknown"),
            ),
            _PRIORITY,
        ),
        date_times=("sent", "received"),
    ),
}
"""R4's demands on the resource types that the service reads (hl7.org/fhir/R4, the page of each resource)."""
