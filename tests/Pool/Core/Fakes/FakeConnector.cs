using System.Data;
using System.Data.Common;
using System.Diagnostics.CodeAnalysis;
using System.Threading.Channels;

using MySqlConnector;

using UPool.Core;

namespace UPool.Tests.Fakes;

/// <summary>
/// A driver and its server without any I/O. Each kind of call is answered at once, held until the test finishes it, or
/// failed. It counts sessions as a server does and records calls that a pool must never make.
/// </summary>
internal sealed class FakeConnector : IConnector
{
    public const string Secret = "s3cret-passw0rd";

    private readonly Lock _gate = new();
    private readonly Rule[] _rules;
    private readonly Channel<FakeCall>[] _arrived;
    private readonly List<FakeCall> _held = [];
    private readonly List<string> _violations = [];
    private readonly List<string> _applied = [];
    private readonly List<FakePhysicalConnection> _connections = [];
    private readonly int[] _calls;
    private readonly int[] _sessions = new int[2];
    private int _maxSessions;

    public FakeConnector()
    {
        Step[] steps = Enum.GetValues<Step>();
        _rules = new Rule[steps.Length];
        _calls = new int[steps.Length];
        _arrived = [.. steps.Select(_ => Channel.CreateUnbounded<FakeCall>())];
    }

    public event Action? ProblemFound;

    public event Action? ServerChanged;

    public SqlDialect Dialect => SqlDialect.MySql;

    public string Target => "Fake at nowhere:0/db";

    public string ConnectionString => "Server=nowhere;Database=db";

    public string DataSource => "nowhere";

    public string Database => "db";

    public DbProviderFactory DriverFactory => MySqlConnectorFactory.Instance;

    public string? Problem { get; private set; }

    /// <summary>Whether statements can be killed on the server.</summary>
    public bool CanKill { get; set; } = true;

    /// <summary>The rows in each result, and the results of each reader.</summary>
    public int Rows { get; set; } = 2;

    public int Results { get; set; } = 2;

    /// <summary>Whether a reader's steps throw synchronously, before there is a task.</summary>
    public bool ThrowAtTheCall { get; set; }

    public bool IsDisposed { get; private set; }

    /// <summary>If set, answers each call instead of the gates.</summary>
    public Action<FakeCall>? Behaviour { get; set; }

    /// <summary>Called at the start of each open, the only time at which a server gets one more session.</summary>
    public Action? Opening { get; set; }

    /// <summary>Called at the start of each statement.</summary>
    public Action<FakeDbConnection, string>? Executing { get; set; }

    /// <summary>The number of the server, of two, that answers.</summary>
    public int Present { get; private set; }

    /// <summary>The present server's session count: from the start of an open to the end of a close.</summary>
    public int Sessions
    {
        get
        {
            lock (_gate) return _sessions[Present];
        }
    }

    public int MaxSessions
    {
        get
        {
            lock (_gate) return _maxSessions;
        }
    }

    /// <summary>Calls that a driver must never get and got.</summary>
    public IReadOnlyList<string> Violations
    {
        get
        {
            lock (_gate) return [.. _violations];
        }
    }

    /// <summary>The durable statements: executed in autocommit, or committed.</summary>
    public IReadOnlyList<string> Applied
    {
        get
        {
            lock (_gate) return [.. _applied];
        }
    }

    /// <summary>All connections that were ever opened, in order.</summary>
    public IReadOnlyList<FakePhysicalConnection> Connections
    {
        get
        {
            lock (_gate) return [.. _connections];
        }
    }

    /// <summary>The number of calls of a kind so far.</summary>
    public int CallsOf(Step step)
    {
        lock (_gate) return _calls[(int)step];
    }

    /// <summary>From now on holds calls of these kinds until the test answers them.</summary>
    public void Hold(params Step[] steps) => Rules(steps, new Rule(IsHeld: true, null, 0));

    /// <summary>From now on fails calls of a kind.</summary>
    public void Fail(Step step, DriverFailure kind = DriverFailure.Connection, int times = int.MaxValue) =>
        Rules([step], new Rule(IsHeld: false, kind, times));

    /// <summary>From now on answers these kinds at once; held calls stay held.</summary>
    public void AnswerNew(params Step[] steps) => Rules(steps, default);

    /// <summary>Answers held calls of these kinds, and from now on new ones at once.</summary>
    public void Answer(params Step[] steps)
    {
        Rules(steps, default);
        List<FakeCall> held;
        lock (_gate) held = [.. _held.Where(call => steps.Contains(call.Step))];
        foreach (FakeCall call in held) Finish(call, null);
    }

    /// <summary>Holds every kind of call, as a frozen server does.</summary>
    public void Freeze() => Hold(Enum.GetValues<Step>());

    /// <summary>Answers all held calls, and from now on new ones at once.</summary>
    public void Heal() => Answer(Enum.GetValues<Step>());

    /// <summary>Waits for the next held call of a kind.</summary>
    public ValueTask<FakeCall> HeldAsync(Step step) => _arrived[(int)step].Reader.ReadAsync();

    /// <summary>Takes a held call of a kind, if there is one.</summary>
    public bool TryTakeHeld(Step step, [NotNullWhen(true)] out FakeCall? call) =>
        _arrived[(int)step].Reader.TryRead(out call);

    /// <summary>Answers a held call.</summary>
    public void Finish(FakeCall call, Exception? failure)
    {
        lock (_gate) _held.Remove(call);
        if (failure is null) call.Succeed();
        else call.Fail(failure);
    }

    public void SetProblem(string? problem)
    {
        Problem = problem;
        if (problem is not null) ProblemFound?.Invoke();
    }

    /// <summary>From now on the other of two servers answers.</summary>
    public void SwitchOver()
    {
        lock (_gate) Present = 1 - Present;
        ServerChanged?.Invoke();
    }

    public void Violate(string what)
    {
        lock (_gate) _violations.Add(what);
    }

    public void Apply(IEnumerable<string> statements)
    {
        lock (_gate) _applied.AddRange(statements);
    }

    /// <summary>Registers a call that reaches the server.</summary>
    public void Arrive(FakeCall call)
    {
        if (Behaviour is { } behaviour)
        {
            behaviour(call);
            return;
        }

        Rule rule;
        lock (_gate)
        {
            rule = _rules[(int)call.Step];
            _calls[(int)call.Step]++;
            if (rule.IsHeld) _held.Add(call);
            else if (rule is { Failure: not null, Times: var times })
                _rules[(int)call.Step] = times > 1 ? rule with { Times = times - 1 } : default;
        }

        if (rule.IsHeld) _arrived[(int)call.Step].Writer.TryWrite(call);
        else if (rule.Failure is { } failure) call.Fail(new FakeDbException(failure, $"{call.Step} failed"));
        else call.Succeed();
    }

    /// <summary>The credentials for new sessions.</summary>
    public string Credentials { get; private set; } = "first";

    public Task<PhysicalConnection> OpenAsync() => OpenAsync(Step.Open, Credentials);

    public ICandidate Prepare(string connectionString) => new Candidate(this, connectionString);

    /// <summary>Counts a session that a server has dropped.</summary>
    public void EndSession(int server)
    {
        lock (_gate) _sessions[server]--;
    }

    public DbCommand CreateCommand() => new FakeDbCommand();

    public DbBatch CreateBatch() => new FakeDbBatch();

    public DbCommand CopyCommand(DbCommand command) => new FakeDbCommand { CommandText = command.CommandText };

    public DbBatch CopyBatch(DbBatch batch) => new FakeDbBatch();

    public void ApplyColumnType(DbParameter parameter, DataRow column)
    {
    }

    public long LastInsertedId(DbCommand command) => 0;

    public DriverFailure Classify(Exception exception) =>
        exception is FakeDbException fake ? fake.Kind : DriverFailure.None;

    public bool IsCommitRefused(Exception exception) =>
        Classify(exception) is DriverFailure.Statement or DriverFailure.RolledBack or DriverFailure.WrongServer;

    public bool MayMeetAnyStatement(Exception exception) => Classify(exception) == DriverFailure.Unclear;

    public string Explain(Exception exception) => exception is FakeDbException fake
        ? $"{Target} failed with {fake.Kind}."
        : $"{Target}: {exception.GetType().Name}.";

    public ValueTask DisposeAsync()
    {
        IsDisposed = true;
        return ValueTask.CompletedTask;
    }

    private async Task<PhysicalConnection> OpenAsync(Step step, string credentials)
    {
        int server;
        lock (_gate)
        {
            server = Present;
            _maxSessions = Math.Max(_maxSessions, ++_sessions[server]);
        }

        Opening?.Invoke();
        try
        {
            var call = new FakeCall(step, null);
            Arrive(call);
            await call.Task;
        }
        catch
        {
            EndSession(server);
            throw;
        }

        lock (_gate)
        {
            var connection = new FakePhysicalConnection(this, _connections.Count + 1, server)
            {
                Credentials = credentials,
            };
            _connections.Add(connection);
            return connection;
        }
    }

    private void Rules(Step[] steps, Rule rule)
    {
        lock (_gate)
        {
            foreach (Step step in steps) _rules[(int)step] = rule;
        }
    }

    private sealed class Candidate(FakeConnector server, string credentials) : ICandidate
    {
        public Task<PhysicalConnection> OpenAsync() => server.OpenAsync(Step.OpenChanged, credentials);

        public void Adopt() => server.Credentials = credentials;
    }

    private readonly record struct Rule(bool IsHeld, DriverFailure? Failure, int Times);
}
