"""What the audit logs prove: `keyturn audit`."""
