using System.Threading.Tasks.Sources;

namespace UPool.Sharing;

/// <summary>A caller of a read batch. Only the code that has set <see cref="HasEnded"/>, under the queue's lock,
/// completes the caller, and does so outside that lock.</summary>
internal sealed class ReadBatchCaller<TKey, TAnswer>(ReadBatch<TKey, TAnswer> batch, TKey key, Deadline deadline)
    : IValueTaskSource<TAnswer>
    where TKey : notnull, IEquatable<TKey>
{
    // Continuations run asynchronously: the thread that completes one caller has to complete all the others.
    private ManualResetValueTaskSourceCore<TAnswer> _source =
        new() { RunContinuationsAsynchronously = true };

    private CancellationTokenRegistration _registration;

    public TKey Key => key;

    public Deadline Deadline => deadline;

    /// <summary>When the caller gives up without an answer, if it has a deadline; a timestamp of the clock.</summary>
    /// <param name="isSent">Whether the statement was sent, so that an answer may be on its way.</param>
    public long GivesUpAt(bool isSent)
    {
        long grace = isSent ? batch.Queue.Read.GraceTicks : 0;
        return Math.Min(deadline.Timestamp, long.MaxValue - grace) + grace;
    }

    public ReadBatch<TKey, TAnswer> Batch => batch;

    /// <summary>Whether the caller has left or is being answered; guarded by the queue's lock.</summary>
    public bool HasEnded { get; set; }

    public ValueTask<TAnswer> Task => new(this, _source.Version);

    /// <summary>Registers with the caller's token. Called once, outside the queue's lock.</summary>
    public void ListenTo(CancellationToken token)
    {
        if (!token.CanBeCanceled) return;

        _registration = token.UnsafeRegister(
            static (caller, cancelled) => ((ReadBatchCaller<TKey, TAnswer>)caller!).OnCancelled(cancelled), this);
    }

    public void Complete(TAnswer answer) => _source.SetResult(answer);

    public void Fail(Exception exception) => _source.SetException(exception);

    TAnswer IValueTaskSource<TAnswer>.GetResult(short token)
    {
        _registration.Unregister();
        return _source.GetResult(token);
    }

    ValueTaskSourceStatus IValueTaskSource<TAnswer>.GetStatus(short token) => _source.GetStatus(token);

    void IValueTaskSource<TAnswer>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _source.OnCompleted(continuation, state, token, flags);

    private void OnCancelled(CancellationToken token)
    {
        if (batch.Queue.TryLeave(this, out _)) Fail(new OperationCanceledException(token));
    }
}
