namespace UPool.Cluster.Budget;

/// <summary>The requests that the coordinator has not answered yet, and those of its last batch. A copy of one of them
/// gets the answer of the first, without a batch for itself. Not thread-safe.</summary>
/// <remarks>A copy that arrives after its batch was answered gets the same answer again. That grants nothing new: the
/// holder counts the lease from before it sent the first, and accepts only the answer to its newest request
/// (INV-2).</remarks>
internal sealed class RenewalQueue
{
    /// <summary>The most requests that wait for the next write. Each process has one outstanding, so twice the possible
    /// number of processes is never reached.</summary>
    public const int MaxWaiting = 2 * LedgerState.MaxRecords;

    private readonly List<Renewal> _waiting = [];
    private readonly Dictionary<(string Incarnation, long Sequence), Renewal> _known = [];
    private IReadOnlyList<Renewal> _taken = [];

    public int Count => _waiting.Count;

    /// <summary>Adds a request; returns its answer.</summary>
    /// <exception cref="BudgetUnavailableException">Too many requests wait.</exception>
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

    /// <summary>Takes the waiting requests for the next batch, and forgets those taken before.</summary>
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

    /// <summary>One request and its answer.</summary>
    internal sealed class Renewal(LeaseRequest request)
    {
        public LeaseRequest Request => request;

        public TaskCompletionSource<LeaseReply> Reply { get; } =
            new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
