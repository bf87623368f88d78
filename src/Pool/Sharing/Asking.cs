using System.Diagnostics.CodeAnalysis;

using UPool.Core;

namespace UPool.Sharing;

/// <summary>One asking and those who wait for it.</summary>
[SuppressMessage(
    "Design", "CA1001", Justification = "The source has no timer, and who leaves last may come after the end.")]
internal sealed class Asking<TKey, TAnswer>(AskingLine<TKey, TAnswer> line) : WheelEntry, IThreadPoolWorkItem
    where TKey : notnull, IEquatable<TKey>
{
    // That of the caller who opened it: his trace is the parent of the statement's span.
    private readonly ExecutionContext? _context = ExecutionContext.Capture();
    private readonly CancellationTokenSource _abandoned = new();
    private AskingGiveUps<TKey, TAnswer>? _giveUps;

    // Set by who asks, and read when he has done so.
    private AnswerSet<TKey, TAnswer>? _answers;
    private TAnswer? _refusal;
    private bool _isRefused;

    // All below is guarded by the line's lock.

    /// <summary>All who joined; some may have left.</summary>
    public List<AskingCaller<TKey, TAnswer>> Callers { get; } = [];

    /// <summary>How many have neither left nor been answered.</summary>
    public int Waiting { get; set; }

    /// <summary>Whether it is under way: it rents, or its statement was sent.</summary>
    public bool HasBegun { get; set; }

    /// <summary>Whether its statement was sent, so that nobody may join (INV-10).</summary>
    public bool IsSent { get; set; }

    /// <summary>When that was; a timestamp of the pool's clock.</summary>
    public long SentAt { get; set; }

    /// <summary>Whether it has waited long enough for what is under way.</summary>
    public bool IsOverdue { get; set; }

    /// <summary>When its callers give up.</summary>
    public AskingGiveUps<TKey, TAnswer> GiveUps => _giveUps ??= new AskingGiveUps<TKey, TAnswer>(this);

    public AskingLine<TKey, TAnswer> Line => line;

    /// <summary>Nobody waits any more: what is under way is ended.</summary>
    public void Abandon()
    {
        line.Asked.Wheel.Remove(this);

        // Elsewhere: who listens may have much to do, and this may be the thread of everybody's deadlines.
        _ = _abandoned.CancelAsync();
    }

    /// <summary>
    /// Begins, on the thread pool and behind what waits there already: whoever has arrived by then joins. Begun by who
    /// joins, at once, askings had fewer callers each, and 64 clients got 30,000 replies a second instead of 51,000.
    /// </summary>
    public void Queue() => ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);

    void IThreadPoolWorkItem.Execute() => Run();

    /// <summary>Begins here and now.</summary>
    public void Run()
    {
        if (_context is null)
            _ = RunAsync();
        else
            ExecutionContext.Run(_context, static asking => _ = ((Asking<TKey, TAnswer>)asking!).RunAsync(), this);
    }

    internal override void OnDue(long now) => line.Hurry(this);

    /// <summary>It is about to be sent: from now on nobody joins.</summary>
    /// <param name="deadline">The latest of those who wait.</param>
    /// <returns>What they ask for, to be answered; nothing when all have left.</returns>
    public AnswerSet<TKey, TAnswer> Close(out Deadline deadline) => _answers = line.Close(this, out deadline);

    /// <summary>Nothing is sent; all hear this.</summary>
    public void Refuse(TAnswer refusal)
    {
        _refusal = refusal;
        _isRefused = true;
    }

    private async Task RunAsync()
    {
        IAsked<TKey, TAnswer> asked = line.Asked;
        Exception? failure = null;
        try
        {
            await asked.AskAsync(this, _abandoned.Token).ConfigureAwait(false);
        }
        catch (Exception exception)
        {
            failure = exception;
        }

        List<AskingCaller<TKey, TAnswer>> callers = line.End(this);
        if (_answers is { Keys.Count: > 0 }) asked.OnAsked(callers.Count);
        foreach (AskingCaller<TKey, TAnswer> caller in callers)
        {
            if (_isRefused)
                caller.Complete(_refusal!);
            else if (_answers is not null && _answers.TryGet(caller.Key, out TAnswer? answer))
                caller.Complete(answer!);
            else if ((_answers?.FailureOf(caller.Key) ?? failure) is { } exception)
                caller.Fail(exception);
            else
                asked.TellNothing(caller);
        }
    }
}
