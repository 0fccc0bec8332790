"""A GP practice's system on MESH: what it answers, as ITK3 responses (event ITK008M)."""

from __future__ import annotations

from uuid import NAMESPACE_URL, uuid5

SYSTEM = "https://fhir.nhs.uk/STU3/CodeSystem/ITK-ResponseCodes-1"
SAYS = {"20013": "Success", "30001": "Message correctly filed", "30004": "Patient is deceased"}
_TEMPLATE = """<?xml version="1.0" encoding="UTF-8"?>
<Bundle xmlns="http://hl7.org/fhir">
  <meta><profile value="https://fhir.nhs.uk/STU3/StructureDefinition/ITK-Message-Bundle-1"/></meta>
  <identifier><value value="{own}"/></identifier>
  <type value="message"/>
  <entry>
    <fullUrl value="urn:uuid:{own}"/>
    <resource>
      <MessageHeader>
        <id value="{own}"/>
        <meta><profile value="https://fhir.nhs.uk/STU3/StructureDefinition/ITK-MessageHeader-2"/></meta>
        <event>
          <system value="https://fhir.nhs.uk/STU3/CodeSystem/ITK-MessageEvent-2"/>
          <code value="ITK008M"/>
          <display value="ITK Response"/>
        </event>
        <timestamp value="{at}"/>
        <source><endpoint value="X26ABC2"/></source>
        <response>
          <identifier value="{about}"/>
          <code value="{outcome}"/>
        </response>
      </MessageHeader>
    </resource>
  </entry>
  <entry>
    <resource>
      <OperationOutcome>
        <issue>
          <severity value="information"/>
          <code value="informational"/>
          <details>
            <coding>
              <system value="{system}"/>
              <code value="{code}"/>
              <display value="{display}"/>
            </coding>
          </details>
          {diagnostics}
        </issue>
      </OperationOutcome>
    </resource>
  </entry>
</Bundle>
"""


def answer(about: str, code: str, outcome: str, *, says: str = "", at: str = "2026-03-28T11:00:00+00:00") -> bytes:
    """The response to the message called `about`: one code, `outcome` as `ok`, `transient-error` or `fatal-error`."""
    return _TEMPLATE.format(
        own=uuid5(NAMESPACE_URL, f"{about} {code} {at}"),
        at=at,
        about=about,
        outcome=outcome,
        system=SYSTEM,
        code=code,
        display=SAYS.get(code, "Error"),
        diagnostics=f'<diagnostics value="{says}"/>' if says else "",
    ).encode()
