using System.Globalization;
using System.Threading.Channels;

using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

using MySqlConnector;

namespace UPool.MySql;

/// <summary>
/// One control connection that ends statements and asks the server whether sessions are gone. Questions are answered in
/// batches: one look at the process list for all that wait, so a hundred closes cost little more than one.
/// </summary>
/// <remarks>
/// Nothing here gives up: a question keeps a permit or a connection back, and only the server's answer may free it
/// (INV-1). While the server does not answer, one statement or one open is left pending, which is the probe. The
/// questions waiting are at most two for each session of the process's pools, so they are bounded by the permits.
/// </remarks>
internal sealed partial class KillLane : IAsyncDisposable
{
    // A batch's statement stays short; the rest waits for the next look.
    private const int MaxBatch = 256;

    // Between two looks at sessions that are still ending: a local one is gone within a millisecond, one that rolls
    // back takes seconds.
    private static readonly TimeSpan MinPollInterval = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan MaxPollInterval = TimeSpan.FromMilliseconds(50);

    private static readonly TimeSpan MinRetryInterval = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan MaxRetryInterval = TimeSpan.FromSeconds(1);

    // After this a question unanswered is news for the operator; it stays asked.
    private static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(2);

    private static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(2);

    private readonly MySqlDataSource _dataSource;
    private readonly string _target;
    private readonly TimeProvider _clock;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stop = new();
    private readonly Channel<Question> _questions =
        Channel.CreateUnbounded<Question>();
    private readonly Task _loop;
    private volatile string? _problem;

    public KillLane(MySqlConnectionStringBuilder settings, TimeProvider clock, ILoggerFactory? loggers)
    {
        _target = MySqlSettings.Describe(settings);
        _clock = clock;
        _logger = (ILogger?)loggers?.CreateLogger<KillLane>() ?? NullLogger.Instance;
        var builder = new MySqlDataSourceBuilder(settings.ConnectionString);
        if (loggers is not null) builder.UseLoggerFactory(loggers);
        _dataSource = builder.Build();
        using (ExecutionContext.SuppressFlow()) _loop = Task.Run(RunAsync);
    }

    public TimeProvider Clock => _clock;

    /// <summary>Why the server cannot be asked, in one plain line; null when it can, or nobody tried.</summary>
    public string? Problem => _problem;

    /// <summary><see cref="Problem"/> has come up or changed. Raised on the lane: a handler must not block.</summary>
    public event Action? ProblemFound;

    /// <summary>Ends the statement a session executes. Completes when the server has answered.</summary>
    public Task KillStatementAsync(ServerSession session) => AskAsync(session, untilGone: false);

    /// <summary>Ends a session. Completes when the server no longer knows it.</summary>
    public Task WaitUntilGoneAsync(ServerSession session) => AskAsync(session, untilGone: true);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        _questions.Writer.TryComplete();
        await _stop.CancelAsync().ConfigureAwait(false);

        // On a server that hangs, the statement that is the probe pends: the process ends without its answer.
        await _loop.WaitAsync(StopTimeout, _clock).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (_loop.IsCompleted) await _dataSource.DisposeAsync().ConfigureAwait(false);
    }

    private Task AskAsync(ServerSession session, bool untilGone)
    {
        var question = new Question(session, untilGone);
        if (!_questions.Writer.TryWrite(question))
            question.Answer.SetException(new ObjectDisposedException(nameof(KillLane)));
        return question.Answer.Task;
    }

    private async Task RunAsync()
    {
        List<Question> open = [];
        MySqlConnection? connection = null;
        int failures = 0;
        TimeSpan poll = MinPollInterval;
        Task<bool> more = _questions.Reader.WaitToReadAsync(_stop.Token).AsTask();
        async Task OpenAndAnswerAsync()
        {
            connection ??= await OpenAsync().ConfigureAwait(false);
            await AnswerAsync(connection, open).ConfigureAwait(false);
        }

        try
        {
            while (true)
            {
                // A new question does not wait for the next look at the old ones.
                if (open.Count == 0) await more.ConfigureAwait(false);
                else await Task.WhenAny(more, Task.Delay(poll, _clock, _stop.Token)).ConfigureAwait(false);
                _stop.Token.ThrowIfCancellationRequested();

                while (open.Count < MaxBatch && _questions.Reader.TryRead(out Question? next))
                {
                    open.Add(next);
                    poll = MinPollInterval;
                }

                if (more.IsCompleted) more = _questions.Reader.WaitToReadAsync(_stop.Token).AsTask();
                try
                {
                    Task answering = OpenAndAnswerAsync();
                    await NoteIfUnansweredAsync(answering).ConfigureAwait(false);
                    await answering.ConfigureAwait(false);
                    failures = 0;
                    _problem = null;

                    // Statements are answered at the first look; what is left are sessions that are still ending.
                    poll = TimeSpan.FromTicks(Math.Min(poll.Ticks * 2, MaxPollInterval.Ticks));
                }
                catch (Exception exception) when (!_stop.IsCancellationRequested)
                {
                    // Whatever the driver throws: a lane that ended would hold every permit for ever (INV-7).
                    if (connection is not null) await CloseAsync(connection).ConfigureAwait(false);
                    connection = null;

                    // A connection that sat idle may have been closed by the server: the first failure is tried again
                    // at once and is no news.
                    if (failures++ == 0) continue;

                    Note(MySqlErrors.Explain(exception, _target));
                    await Task.Delay(RetryAfter(failures), _clock, _stop.Token).ConfigureAwait(false);
                }
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
        }
        finally
        {
            if (connection is not null) await CloseAsync(connection).ConfigureAwait(false);

            // Closed first: a question asked from now on must fail, rather than wait for an answer that never comes.
            _questions.Writer.TryComplete();
            while (_questions.Reader.TryRead(out Question? unread)) open.Add(unread);
            foreach (Question question in open)
                question.Answer.TrySetException(new ObjectDisposedException(nameof(KillLane)));
        }
    }

    /// <summary>A server that does not answer is left with the question, as the probe; only the word spreads.</summary>
    private async Task NoteIfUnansweredAsync(Task answering)
    {
        using var bound = new CancellationTokenSource();
        Task delay = Task.Delay(AnswerTimeout, _clock, bound.Token);
        if (await Task.WhenAny(answering, delay).ConfigureAwait(false) == answering)
            await bound.CancelAsync().ConfigureAwait(false);
        else
            Note($"{_target} has not answered a control connection within {AnswerTimeout.TotalMilliseconds:0} ms.");
    }

    private async Task<MySqlConnection> OpenAsync()
    {
        MySqlConnection connection = _dataSource.CreateConnection();
        try
        {
            // The driver never sees a token: its cancellation blocks, and opens a session that no permit covers.
            await connection.OpenAsync(CancellationToken.None).ConfigureAwait(false);
            return connection;
        }
        catch
        {
            await CloseAsync(connection).ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>One look at the process list, then one KILL for each session that is still there.</summary>
    private static async Task AnswerAsync(MySqlConnection connection, List<Question> questions)
    {
        Dictionary<long, string> hosts = await LookAsync(connection, questions).ConfigureAwait(false);
        for (int i = questions.Count - 1; i >= 0; i--)
        {
            Question question = questions[i];

            // The id with another host is another's session, after a restart of the server: never kill that. The look
            // and the kill go over one connection, so the server cannot have restarted between them.
            bool isThere = hosts.TryGetValue(question.Session.Id, out string? host) && host == question.Session.Host;
            if (isThere && await KillAsync(connection, question).ConfigureAwait(false) && question.UntilGone) continue;

            questions.RemoveAt(i);
            question.Answer.SetResult();
        }
    }

    private static async Task<Dictionary<long, string>> LookAsync(MySqlConnection connection, List<Question> questions)
    {
        string ids =
            string.Join(',', questions.Select(q => q.Session.Id.ToString(CultureInfo.InvariantCulture)).Distinct());
        using var command = new MySqlCommand(
            $"SELECT ID, HOST FROM information_schema.PROCESSLIST WHERE ID IN ({ids})", connection);

        // Left pending on a server that does not answer: it is the probe. Keepalive notices a dead one.
        command.CommandTimeout = 0;
        var hosts = new Dictionary<long, string>();
        using MySqlDataReader reader = await command.ExecuteReaderAsync(CancellationToken.None).ConfigureAwait(false);
        while (await reader.ReadAsync(CancellationToken.None).ConfigureAwait(false))
            hosts[reader.GetInt64(0)] = reader.IsDBNull(1) ? "" : reader.GetString(1);
        return hosts;
    }

    /// <summary>Sends one KILL; false when the server does not know the session any more.</summary>
    private static async Task<bool> KillAsync(MySqlConnection connection, Question question)
    {
        string what = question.UntilGone ? "CONNECTION" : "QUERY";
        using var command = new MySqlCommand(
            string.Create(CultureInfo.InvariantCulture, $"KILL {what} {question.Session.Id}"), connection);
        command.CommandTimeout = 0;
        try
        {
            await command.ExecuteNonQueryAsync(CancellationToken.None).ConfigureAwait(false);
            return true;
        }
        catch (MySqlException exception) when (exception.ErrorCode == MySqlErrors.NoSuchThread)
        {
            return false;
        }
    }

    private void Note(string problem)
    {
        if (problem == _problem) return;

        _problem = problem;
        LogCannotAsk(problem);
        ProblemFound?.Invoke();
    }

    /// <summary>Lets go of the lane's own connection; whatever the driver makes of that, the next one is
    /// opened.</summary>
    private async Task CloseAsync(MySqlConnection connection) =>
        await connection.DisposeAsync().AsTask()
            .WaitAsync(StopTimeout, _clock).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

    private static TimeSpan RetryAfter(int failures)
    {
        double doubled = MinRetryInterval.TotalSeconds * Math.Pow(2, Math.Min(failures - 2, 16));
        double bounded = Math.Clamp(doubled, MinRetryInterval.TotalSeconds, MaxRetryInterval.TotalSeconds);
        return TimeSpan.FromSeconds(bounded * (1 - 0.5 * Random.Shared.NextDouble()));
    }

    [LoggerMessage(1101, LogLevel.Warning, "The control connection cannot ask the server; it keeps trying. {Problem}")]
    private partial void LogCannotAsk(string problem);

    private sealed class Question(ServerSession session, bool untilGone)
    {
        public ServerSession Session => session;

        public bool UntilGone => untilGone;

        public TaskCompletionSource Answer { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
