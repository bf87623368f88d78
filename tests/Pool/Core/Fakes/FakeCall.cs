namespace UPool.Tests.Fakes;

/// <summary>The kinds of calls that reach the fake server; each has a gate of its own.</summary>
public enum Step
{
    Open,
    Ping,
    Reset,
    Kill,

    /// <summary>The server drops the session; only then is a close complete.</summary>
    Close,
    Statement,
    Row,
    NextResult,

    /// <summary>The rows that were not read are skipped.</summary>
    CloseReader,
    Begin,
    Commit,
    Rollback,
    ChangeDatabase,

    /// <summary>An open with changed credentials, before they are adopted.</summary>
    OpenChanged,

    /// <summary>Whether a transaction is open.</summary>
    Look,

    /// <summary>The savepoint in front of a statement that may commit, and its release.</summary>
    Mark,
    TakeMark,
}

/// <summary>One call that has reached the fake server and waits for its answer.</summary>
internal sealed class FakeCall(Step step, FakeDbConnection? connection)
{
    // Inline, as a driver's I/O thread would go on: what follows runs on the thread that answers.
    private readonly TaskCompletionSource _answer = new();

    public Step Step => step;

    public FakeDbConnection? Connection => connection;

    public Task Task => _answer.Task;

    public bool Succeed() => _answer.TrySetResult();

    public bool Fail(Exception exception) => _answer.TrySetException(exception);
}
