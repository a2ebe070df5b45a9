import Testing

/// One test after the other: each keeps the machine busy with processes of its own, and some block their threads.
@Suite(.serialized) enum ExampleTests {}
