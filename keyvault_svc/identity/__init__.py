"""The door to token issuers: who a person is, and which app a token proves."""
