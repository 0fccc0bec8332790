"""The console: what there is to do today, why, and for steps that stand nowhere else a form to complete them.

Pages made on the server, without scripts. Nobody sees anything unless signed in, and what they see of patients is
witnessed before it is shown.
"""

from fhirbridge.web.console.console import routes as routes
