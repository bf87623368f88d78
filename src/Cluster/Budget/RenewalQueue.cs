namespace UPool.Cluster.Budget;

/// <summary>The requests that the coordinator has not answered yet, and those of its last batch. A copy of one of them
/// gets the answer of the first: it costs no batch of its own. Not for several threads.</summary>
/// <remarks>A copy that comes after its batch was answered gets that answer once more. That gives nobody anything new:
/// the holder counts the lease from before it sent the first, and takes no answer but to its newest request
/// (INV-2).</remarks>
internal sealed class RenewalQueue
{
    /// <summary>The most requests that wait for the next write: each process has one under way, so twice as many as
    /// there can be processes is beyond all.</summary>
    public const int MaxWaiting = 2 * LedgerState.MaxRecords;

    private readonly List<Renewal> _waiting = [];
    private readonly Dictionary<(string Incarnation, long Sequence), Renewal> _known = [];
    private IReadOnlyList<Renewal> _taken = [];

    public int Count => _waiting.Count;

    /// <summary>A request arrives; its answer.</summary>
    /// <exception cref="BudgetUnavailableException">Too many wait.</exception>
    public Task<LeaseReply> Add(LeaseRequest request)
    {
        (string, long) key = KeyOf(request);
        if (_known.TryGetValue(key, out Renewal? first) && !first.Reply.Task.IsFaulted) return first.Reply.Task;

        if (_waiting.Count >= MaxWaiting)
            throw new BudgetUnavailableException($"More than {MaxWaiting} requests wait for the budget's ledger.");

        var renewal = new Renewal(request);
        _waiting.Add(renewal);
        _known[key] = renewal;
        return renewal.Reply.Task;
    }

    /// <summary>Those that wait, for the next batch. What was taken before is no longer known.</summary>
    public IReadOnlyList<Renewal> Take()
    {
        foreach (Renewal former in _taken)
        {
            (string, long) key = KeyOf(former.Request);
            if (_known.TryGetValue(key, out Renewal? known) && known == former) _known.Remove(key);
        }

        _taken = [.. _waiting];
        _waiting.Clear();
        return _taken;
    }

    private static (string, long) KeyOf(LeaseRequest request) => (request.Incarnation, request.Sequence);

    /// <summary>One request, and what waits for its answer.</summary>
    internal sealed class Renewal(LeaseRequest request)
    {
        public LeaseRequest Request => request;

        public TaskCompletionSource<LeaseReply> Reply { get; } =
            new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
