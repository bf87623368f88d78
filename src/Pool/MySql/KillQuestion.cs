namespace UPool.MySql;

/// <summary>A question to the kill lane about one session: end its statement, or end the session until it is
/// gone.</summary>
/// <param name="session">The session.</param>
/// <param name="untilGone">Whether to end the whole session.</param>
internal sealed class KillQuestion(ServerSession session, bool untilGone)
{
    private readonly TaskCompletionSource _answer = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public ServerSession Session => session;

    public bool UntilGone => untilGone;

    /// <summary>Completes when the server has answered.</summary>
    public Task Task => _answer.Task;

    public void Settle() => _answer.TrySetResult();

    /// <summary>Fails the question: the lane has ended and cannot ask the server.</summary>
    public void Abandon() => _answer.TrySetException(new ObjectDisposedException(nameof(KillLane)));
}
