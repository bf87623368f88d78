using System.Data.Common;
using System.Text;
using Dapper;
using Microsoft.Extensions.Options;
using UPool.Cluster.Workers;

namespace UPool.Grains;

/// <summary>The users of <c>tb1</c>.</summary>
public sealed class UserGrain(PooledDataSource pool, IOptions<ReadOptions> options) : WorkerGrain(pool), IUserGrain
{
    // ER_DATA_TOO_LONG and ER_TRUNCATED_WRONG_VALUE_FOR_FIELD: a name that the column's length or character set
    // refuses.
    private const int TooLongError = 1406;
    private const int WrongValueError = 1366;

    // Few enough parameters for any driver, and half a megabyte is far from the smallest packet in use; a server with a
    // smaller one is obeyed. A statement's text takes its share, so only half of the packet is counted on.
    private const int MaxRowsOfInsert = 500;
    private const long MaxBytesOfInsert = 512 * 1024;

    private readonly UserStatements _statements = UserStatements.For(pool.Dialect);
    private readonly UserReads _reads = new(pool, options.Value.Shared);

    // Who is refused by limits of this age has them read again: the table may have been altered meanwhile. So seldom
    // that refusals stay cheap. The other way round the server refuses by itself.
    private static readonly TimeSpan LimitsLifetime = TimeSpan.FromSeconds(1);

    // Read at the first write. Only written here, by this single activation.
    private UserLimits? _limits;
    private Deadline _limitsDue;

    /// <inheritdoc/>
    public Task<Reply<UserPage>> List(int limit, long after, Deadline deadline, CancellationToken cancellationToken)
    {
        if (limit < 1) return Task.FromResult(Reply.Invalid<UserPage>("limit is less than 1"));

        return ReadAsync(
            _reads.Pages, new UserPageKey(limit, after), deadline, cancellationToken,
            static page => Reply.Ok(page!));
    }

    /// <inheritdoc/>
    public Task<Reply<User>> Get(long id, Deadline deadline, CancellationToken cancellationToken)
    {
        if (id < 1) return Task.FromResult(Reply.NotFound<User>());

        return ReadAsync(
            _reads.Users, id, deadline, cancellationToken,
            static user => user is null ? Reply.NotFound<User>() : Reply.Ok(user));
    }

    /// <inheritdoc/>
    public Task<Reply<User?[]>> GetMany(long[] ids, Deadline deadline, CancellationToken cancellationToken) =>
        ReadManyAsync(_reads.Users, ids, deadline, cancellationToken);

    /// <inheritdoc/>
    public async Task<Reply<User>> Create(string name, Deadline deadline, CancellationToken cancellationToken)
    {
        if (await ProblemAsync<User>([name], deadline, cancellationToken) is { } problem) return problem;

        return await WriteAsync(deadline, cancellationToken, async (connection, token) =>
        {
            try
            {
                long id = await connection.ExecuteScalarAsync<long>(
                    new CommandDefinition(_statements.Create, new { name }, cancellationToken: token));
                return Reply.Ok(new User(id, name));
            }
            catch (DbException exception) when (IsRefusedName(exception))
            {
                return RefusedName<User>();
            }
        });
    }

    /// <inheritdoc/>
    public async Task<Reply<User[]>> CreateBatch(string[] names, Deadline deadline, CancellationToken cancellationToken)
    {
        if (names is not { Length: > 0 and <= UserNames.MaxBatch })
            return Reply.Invalid<User[]>($"a batch has 1 to {UserNames.MaxBatch} users");
        if (await ProblemAsync<User[]>(names, deadline, cancellationToken) is { } problem) return problem;

        return await WriteInTransactionAsync(deadline, cancellationToken, async (connection, transaction, token) =>
        {
            try
            {
                var users = new List<User>(names.Length);
                foreach (Range chunk in Chunks(names))
                    await InsertAsync(connection, transaction, names[chunk], users, token);
                return Reply.Ok(users.ToArray());
            }
            catch (DbException exception) when (IsRefusedName(exception))
            {
                return RefusedName<User[]>();
            }
        });
    }

    /// <inheritdoc/>
    public async Task<Reply<User>> Rename(long id, string name, Deadline deadline, CancellationToken cancellationToken)
    {
        if (await ProblemAsync<User>([name], deadline, cancellationToken) is { } problem) return problem;
        if (id < 1) return Reply.NotFound<User>();

        return await WriteAsync(deadline, cancellationToken, async (connection, token) =>
        {
            try
            {
                int rows = await connection.ExecuteAsync(
                    new CommandDefinition(_statements.Rename, new { id, name }, cancellationToken: token));

                // With UseAffectedRows in the connection string the server counts rows that changed: the name a user
                // has already counts as none.
                if (rows == 0)
                {
                    List<User> users = await QueryAsync(
                        connection,
                        new CommandDefinition(UserStatements.GetOne, new { id }, cancellationToken: token));
                    if (users.Count == 0) return Reply.NotFound<User>();
                }

                return Reply.Ok(new User(id, name));
            }
            catch (DbException exception) when (IsRefusedName(exception))
            {
                return RefusedName<User>();
            }
        });
    }

    /// <inheritdoc/>
    public Task<Reply<User>> Delete(long id, Deadline deadline, CancellationToken cancellationToken)
    {
        if (id < 1) return Task.FromResult(Reply.NotFound<User>());

        return WriteInTransactionAsync(deadline, cancellationToken, async (connection, transaction, token) =>
        {
            List<User> users = await QueryAsync(connection, new CommandDefinition(
                _statements.GetToDelete, new { id }, transaction, cancellationToken: token));
            if (users.Count > 0)
            {
                await connection.ExecuteAsync(new CommandDefinition(
                    UserStatements.Delete, new { id }, transaction, cancellationToken: token));
            }

            return Found(users);
        });
    }

    private static async Task<List<User>> QueryAsync(PooledConnection connection, CommandDefinition command)
    {
        await using DbDataReader reader = await connection.ExecuteReaderAsync(command);
        var users = new List<User>();
        while (await reader.ReadAsync(command.CancellationToken)) users.Add(UserReads.UserOf(reader));
        return users;
    }

    private async Task InsertAsync(
        PooledConnection connection,
        DbTransaction transaction,
        string[] names,
        List<User> users,
        CancellationToken token)
    {
        (string text, DynamicParameters parameters) = _statements.CreateAll(names);
        await connection.ExecuteAsync(new CommandDefinition(text, parameters, transaction, cancellationToken: token));
        var ids = await connection.QuerySingleAsync<InsertedIds>(
            new CommandDefinition(_statements.FirstIdAndStep, transaction: transaction, cancellationToken: token));

        // The ids of one INSERT of known size follow each other by the server's step, in every autoinc_lock_mode.
        // SQLite names the last id instead, and numbers a statement's rows one by one.
        long first = Pool.Dialect == SqlDialect.Sqlite ? ids.FirstId - names.Length + 1 : ids.FirstId;
        for (int index = 0; index < names.Length; index++)
            users.Add(new User(first + index * ids.Step, names[index]));
    }

    private List<Range> Chunks(string[] names)
    {
        long most = Math.Min(MaxBytesOfInsert, (_limits?.MaxPacket ?? MaxBytesOfInsert) / 2);
        var chunks = new List<Range>(1);
        int start = 0;
        long bytes = 0;
        for (int index = 0; index < names.Length; index++)
        {
            // A character may be escaped, which doubles it; the rest is the statement's own text for a row.
            long size = (2 * Encoding.UTF8.GetByteCount(names[index])) + 16;
            if (index > start && (bytes + size > most || index - start == MaxRowsOfInsert))
            {
                chunks.Add(start..index);
                start = index;
                bytes = 0;
            }

            bytes += size;
        }

        chunks.Add(start..names.Length);
        return chunks;
    }

    // A reply when a name cannot be, or when the limits cannot be read; null when all is well.
    private async Task<Reply<T>?> ProblemAsync<T>(
        string[] names, Deadline deadline, CancellationToken cancellationToken)
    {
        // What is wrong in any table needs no connection to be refused.
        if (FirstProblem<T>(names, long.MaxValue) is { } wrong) return wrong;
        if (_limits is { } known)
        {
            Reply<T>? problem = FirstProblem<T>(names, known.MaxLength);
            if (problem is null || !_limitsDue.HasPassed()) return problem;
        }

        Reply<UserLimits> limits = await ReadAsync(deadline, cancellationToken, async (connection, token) =>
            Reply.Ok(await connection.QuerySingleOrDefaultAsync<UserLimits>(
                new CommandDefinition(_statements.Limits, cancellationToken: token)) ?? new UserLimits()));
        if (limits.Status != ReplyStatus.Ok)
            return new Reply<T> { Status = limits.Status, Refusal = limits.Refusal, Detail = limits.Detail };

        // No such column: the statement's own error will say so, and the next write looks again.
        if (limits.Value!.MaxLength == 0) return null;

        _limits = limits.Value;
        _limitsDue = Deadline.After(LimitsLifetime);
        return FirstProblem<T>(names, _limits.MaxLength);
    }

    private static Reply<T>? FirstProblem<T>(string[] names, long maxLength)
    {
        foreach (string name in names)
        {
            if (UserNames.Problem(name, maxLength) is { } problem) return Reply.Invalid<T>(problem);
        }

        return null;
    }

    private static Reply<User> Found(List<User> users) => users.Count > 0 ? Reply.Ok(users[0]) : Reply.NotFound<User>();

    private static bool IsRefusedName(DbException exception) =>
        DatabaseError.NumberOf(exception) is TooLongError or WrongValueError;

    private static Reply<T> RefusedName<T>() => Reply.Invalid<T>("name cannot be held by the column");

    private sealed class UserLimits
    {
        public long MaxLength { get; init; }

        public long MaxPacket { get; init; }
    }

    private sealed class InsertedIds
    {
        public long FirstId { get; init; }

        public long Step { get; init; }
    }
}
