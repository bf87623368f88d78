namespace UPool.Tests.Fakes;

/// <summary>The kinds of calls to the fake server; each has its own gate.</summary>
public enum Step
{
    Open,
    Ping,
    Reset,
    Kill,

    /// <summary>The server drops the session; a close is complete only then.</summary>
    Close,
    Statement,
    Row,
    NextResult,

    /// <summary>The skip over unread rows.</summary>
    CloseReader,
    Begin,
    Commit,
    Rollback,
    ChangeDatabase,

    /// <summary>An open with changed credentials, before the pool adopts them.</summary>
    OpenChanged,

    /// <summary>The check whether a transaction is open.</summary>
    Look,

    /// <summary>The savepoint before a statement that may commit, and its release.</summary>
    Mark,
    TakeMark,
}

/// <summary>A call that has reached the fake server and waits for its answer.</summary>
internal sealed class FakeCall(Step step, FakeDbConnection? connection)
{
    // Continuations run inline on the answering thread, as on a driver's I/O thread.
    private readonly TaskCompletionSource _answer = new();

    public Step Step => step;

    public FakeDbConnection? Connection => connection;

    public Task Task => _answer.Task;

    public bool Succeed() => _answer.TrySetResult();

    public bool Fail(Exception exception) => _answer.TrySetException(exception);
}
