using UPool.Core;
using UPool.Sharing;

namespace UPool.Cluster.Workers;

/// <summary>The common part of shared calls: a read batch is a call of a worker.</summary>
internal abstract class BatchedCall<TKey, T>(SharedCalls calls, string name) : IBatchedRead<TKey, Reply<T>>
    where TKey : notnull, IEquatable<TKey>
{
    public TimeProvider Clock => calls.Clock;

    public DeadlineWheel Wheel => calls.Wheel;

    // The silo's own answer tells more than a deadline: it may be a refusal.
    public long GraceTicks => calls.AnswerGraceTicks;

    /// <summary>The reply to a caller for which no call was made.</summary>
    public static Reply<T> NotSent(RefusalReason reason) => Reply.Refused<T>(reason, "no call was sent for it");

    public Reply<T> Refused(RefusalReason reason) => NotSent(reason);

    public void FailLate(ReadBatchCaller<TKey, Reply<T>> caller) =>
        caller.Complete(WorkerFailures.DeadlineExceeded<T>());

    public void CompleteWithoutResult(ReadBatchCaller<TKey, Reply<T>> caller) =>
        caller.Fail(new InvalidOperationException("bug: a call ended without a reply for a caller."));

    public void OnBatchEnded(int callers) => calls.OnCalled(name, callers);

    public Task AskAsync(ReadBatch<TKey, Reply<T>> batch, CancellationToken abandoned)
    {
        // The context is that of the caller that started the read batch. Its call id is removed: stopping that caller
        // must not stop the others.
        RequestContext.Remove(RunningCalls.ContextKey);
        BatchAnswers<TKey, Reply<T>> answers = batch.Close(out Deadline deadline);
        return answers.Keys.Count > 0 ? CallAsync(answers, deadline, abandoned) : Task.CompletedTask;
    }

    /// <summary>Calls for all keys of a batch.</summary>
    protected abstract Task CallAsync(
        BatchAnswers<TKey, Reply<T>> answers, Deadline deadline, CancellationToken cancellationToken);
}

/// <summary>A read batch of one key, and so one call.</summary>
internal sealed class SingleKeyCall<TKey, T>(
    SharedCalls calls, string name, Func<TKey, Deadline, CancellationToken, Task<Reply<T>>> call)
    : BatchedCall<TKey, T>(calls, name)
    where TKey : notnull, IEquatable<TKey>
{
    protected override async Task CallAsync(
        BatchAnswers<TKey, Reply<T>> answers, Deadline deadline, CancellationToken cancellationToken)
    {
        TKey question = answers.Keys[0];
        answers.Add(question, await call(question, deadline, cancellationToken));
    }
}
