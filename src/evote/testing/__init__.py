"""What tests of elections need, ours and others': tamper tools, and hypothesis strategies.

`tamper` changes one thing at a time, `mutate` anything at random, `seeded` one thing in a record of
any size that an auditor must find; they need nothing but `evote`.
`strategies` needs hypothesis. Neither is imported by the rest
of the library, and nothing here belongs into a real election.
"""

from __future__ import annotations

__all__: list[str] = []
