namespace UPool.MySql;

/// <summary>What the kill lane is asked about one session: to end its statement, or to end it until it is
/// gone.</summary>
/// <param name="session">The session.</param>
/// <param name="untilGone">Whether the whole session is to end.</param>
internal sealed class KillQuestion(ServerSession session, bool untilGone)
{
    private readonly TaskCompletionSource _answer = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public ServerSession Session => session;

    public bool UntilGone => untilGone;

    /// <summary>Completes when the server has answered.</summary>
    public Task Task => _answer.Task;

    public void Settle() => _answer.TrySetResult();

    /// <summary>Nobody is left to ask the server.</summary>
    public void Abandon() => _answer.TrySetException(new ObjectDisposedException(nameof(KillLane)));
}
