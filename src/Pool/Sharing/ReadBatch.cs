using System.Diagnostics.CodeAnalysis;

using UPool.Core;

namespace UPool.Sharing;

/// <summary>One read batch and its callers.</summary>
[SuppressMessage(
    "Design", "CA1001", Justification = "The source has no timer, and the last caller may leave after the end.")]
internal sealed class ReadBatch<TKey, TAnswer>(ReadBatchQueue<TKey, TAnswer> queue) : WheelEntry, IThreadPoolWorkItem
    where TKey : notnull, IEquatable<TKey>
{
    // The context of the caller that opened the batch: its trace is the parent of the statement's span.
    private readonly ExecutionContext? _context = ExecutionContext.Capture();
    private readonly CancellationTokenSource _abandoned = new();
    private ReadBatchDeadlines<TKey, TAnswer>? _deadlines;

    // Set by the task that runs the batch, and read once that has ended.
    private BatchAnswers<TKey, TAnswer>? _answers;
    private TAnswer? _refusal;
    private bool _isRefused;

    // All below is guarded by the line's lock.

    /// <summary>All callers that joined, including those that have left.</summary>
    public List<ReadBatchCaller<TKey, TAnswer>> Callers { get; } = [];

    /// <summary>The number of callers that have neither left nor been answered.</summary>
    public int Waiting { get; set; }

    /// <summary>Whether the batch is under way: it rents, or its statement was sent.</summary>
    public bool HasBegun { get; set; }

    /// <summary>Whether the statement was sent, so that no caller may join (INV-10).</summary>
    public bool IsSent { get; set; }

    /// <summary>When the statement was sent; a timestamp of the pool's clock.</summary>
    public long SentAt { get; set; }

    /// <summary>Whether the batch has waited for its full patience while others were under way.</summary>
    public bool IsOverdue { get; set; }

    /// <summary>The deadlines of its callers.</summary>
    public ReadBatchDeadlines<TKey, TAnswer> Deadlines => _deadlines ??= new ReadBatchDeadlines<TKey, TAnswer>(this);

    public ReadBatchQueue<TKey, TAnswer> Queue => queue;

    /// <summary>The last caller has left: cancels the batch.</summary>
    public void Abandon()
    {
        queue.Read.Wheel.Remove(this);

        // Asynchronously: a token callback may take long, and this may be the thread of the deadline wheel.
        _ = _abandoned.CancelAsync();
    }

    /// <summary>
    /// Starts the batch on the thread pool, behind the work already queued there, so that callers arriving meanwhile
    /// can join. Started at once by the joining caller, batches had fewer callers each, and 64 clients got 30,000
    /// replies a second instead of 51,000.
    /// </summary>
    public void Schedule() => ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);

    void IThreadPoolWorkItem.Execute() => Run();

    /// <summary>Starts the batch on this thread.</summary>
    public void Run()
    {
        if (_context is null)
            _ = RunAsync();
        else
            ExecutionContext.Run(_context, static batch => _ = ((ReadBatch<TKey, TAnswer>)batch!).RunAsync(), this);
    }

    internal override void OnDue(long now) => queue.MarkOverdue(this);

    /// <summary>Closes the batch, right before its statement is sent: from now on no caller joins.</summary>
    /// <param name="deadline">The latest deadline of the waiting callers.</param>
    /// <returns>Their keys, to be answered; empty when all have left.</returns>
    public BatchAnswers<TKey, TAnswer> Close(out Deadline deadline) => _answers = queue.Close(this, out deadline);

    /// <summary>Nothing is sent; all callers get this refusal.</summary>
    public void Refuse(TAnswer refusal)
    {
        _refusal = refusal;
        _isRefused = true;
    }

    private async Task RunAsync()
    {
        IBatchedRead<TKey, TAnswer> read = queue.Read;
        Exception? failure = null;
        try
        {
            await read.AskAsync(this, _abandoned.Token).ConfigureAwait(false);
        }
        catch (Exception exception)
        {
            failure = exception;
        }

        List<ReadBatchCaller<TKey, TAnswer>> callers = queue.End(this);
        if (_answers is { Keys.Count: > 0 }) read.OnBatchEnded(callers.Count);
        foreach (ReadBatchCaller<TKey, TAnswer> caller in callers)
        {
            if (_isRefused)
                caller.Complete(_refusal!);
            else if (_answers is not null && _answers.TryGet(caller.Key, out TAnswer? answer))
                caller.Complete(answer!);
            else if ((_answers?.FailureOf(caller.Key) ?? failure) is { } exception)
                caller.Fail(exception);
            else
                read.CompleteWithoutResult(caller);
        }
    }
}
