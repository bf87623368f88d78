namespace UPool.Cluster.Budget;

/// <summary>
/// Renewals that were applied to a copy of the ledger. <see cref="State"/> is to be written; only
/// <see cref="Ledger.Commit"/> gives the replies, so that no silo learns of a grant that was not written (INV-2).
/// </summary>
internal sealed class LedgerBatch
{
    internal LedgerBatch(LedgerState state, LeaseReply[] replies, LeaseEntry[] touched)
    {
        State = state;
        Replies = replies;
        Touched = touched;
    }

    /// <summary>The state to write.</summary>
    public LedgerState State { get; }

    internal LeaseReply[] Replies { get; }

    internal LeaseEntry[] Touched { get; }
}
