"""Legal texts: their versions, who accepted which and how, and how a change comes into force (LEG-01 to LEG-13)."""
