using System.Data.Common;
using System.Text;
using Dapper;
using Microsoft.Extensions.Options;
using UPool.Cluster;
using UPool.Cluster.Workers;

namespace UPool.Grains;

/// <summary>The users of <c>tb1</c>.</summary>
public sealed class UserGrain(PooledDataSource pool, IOptions<ReadOptions> options) : WorkerGrain(pool), IUserGrain
{
    // So many parameters suit every driver, and 512 KiB is far below the smallest packet limit in use. If the server's
    // limit is lower, it applies. The statement's text needs space too, so values fill at most half of a packet.
    private const int MaxRowsOfInsert = 500;
    private const long MaxBytesOfInsert = 512 * 1024;

    private readonly UserStatements _statements = UserStatements.For(pool.Dialect);
    private readonly UserReads _reads = new(pool, options.Value.Shared);

    // The table may be altered at any time. If a description older than this refuses a write, the table is read again;
    // no more often, so that refusals stay cheap.
    private static readonly TimeSpan RefusalLifetime = TimeSpan.FromSeconds(1);

    // After this the table is read again in any case: its description decides which guarantees hold.
    private static readonly TimeSpan TableLifetime = TimeSpan.FromSeconds(60);

    // Read at the first write. Only this activation writes it.
    private UserTable? _table;
    private Deadline _refusalDue;
    private Deadline _tableDue;

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
        if (await ProblemAsync<User>([name], areNew: true, deadline, cancellationToken) is { } problem) return problem;

        return await WriteAsync(deadline, cancellationToken, async (connection, token) =>
        {
            try
            {
                // Reads to the last row: SQLite undoes an INSERT whose result is not read to its end.
                User user = (await QueryAsync(
                    connection, new CommandDefinition(_statements.Create, new { name }, cancellationToken: token)))[0];
                return user.Id > 0 ? Reply.Ok(user) : Reply.Ended<User>(
                    ReplyStatus.OutcomeUnknown, "the user has an id that cannot be asked for");
            }
            catch (DbException exception) when (IsRefused(exception))
            {
                return Refused<User>(exception);
            }
        });
    }

    /// <inheritdoc/>
    public async Task<Reply<User[]>> CreateBatch(string[] names, Deadline deadline, CancellationToken cancellationToken)
    {
        if (names is not { Length: > 0 and <= UserNames.MaxBatch })
            return Reply.Invalid<User[]>($"a batch has 1 to {UserNames.MaxBatch} users");
        if (await ProblemAsync<User[]>(names, areNew: true, deadline, cancellationToken) is { } problem) return problem;

        return await WriteInTransactionAsync(deadline, cancellationToken, async (connection, transaction, token) =>
        {
            try
            {
                var users = new List<User>(names.Length);
                foreach (Range chunk in Chunks(names))
                    await InsertAsync(connection, transaction, names[chunk], users, token);
                return Reply.Ok(users.ToArray());
            }
            catch (DbException exception) when (UserErrors.IsNameError(exception))
            {
                return RefusedName<User[]>();
            }
        });
    }

    /// <inheritdoc/>
    public async Task<Reply<User>> Rename(long id, string name, Deadline deadline, CancellationToken cancellationToken)
    {
        if (await ProblemAsync<User>([name], areNew: false, deadline, cancellationToken) is { } problem) return problem;
        if (id < 1) return Reply.NotFound<User>();

        return await WriteAsync(deadline, cancellationToken, async (connection, token) =>
        {
            try
            {
                return Found(await QueryAsync(
                    connection, new CommandDefinition(_statements.Rename, new { id, name }, cancellationToken: token)));
            }
            catch (DbException exception) when (IsRefused(exception))
            {
                return Refused<User>(exception);
            }
        });
    }

    /// <inheritdoc/>
    public async Task<Reply<User>> Delete(long id, Deadline deadline, CancellationToken cancellationToken)
    {
        if (id < 1) return Reply.NotFound<User>();

        Reply<UserTable> table = await TableAsync(deadline, cancellationToken);
        if (table.Status != ReplyStatus.Ok) return Failed<User, UserTable>(table);

        // Without a rollback, a failure after the DELETE must not report that nothing was changed.
        return table.Value!.IsTransactional
            ? await WriteInTransactionAsync(deadline, cancellationToken, (connection, transaction, token) =>
                DeleteAsync(connection, transaction, id, token))
            : await WriteAsync(deadline, cancellationToken, (connection, token) =>
                DeleteAsync(connection, transaction: null, id, token));
    }

    private async Task<Reply<User>> DeleteAsync(
        PooledConnection connection, DbTransaction? transaction, long id, CancellationToken token)
    {
        List<User> users = await QueryAsync(connection, new CommandDefinition(
            _statements.GetToDelete, new { id }, transaction, cancellationToken: token));
        if (users.Count > 0)
        {
            await connection.ExecuteAsync(
                new CommandDefinition(UserStatements.Delete, new { id }, transaction, cancellationToken: token));
        }

        return Found(users);
    }

    private static async Task<List<User>> QueryAsync(PooledConnection connection, CommandDefinition command)
    {
        await using DbDataReader reader = await connection.ExecuteReaderAsync(command);
        var users = new List<User>();
        while (await reader.ReadAsync(command.CancellationToken)) users.Add(UserRows.UserOf(reader));
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
        List<User> created = await QueryAsync(connection, new CommandDefinition(
            _statements.LastCreated, new { count = names.Length }, transaction, cancellationToken: token));
        if (created.Count != names.Length)
        {
            throw new InvalidOperationException(
                $"Found {created.Count} of {names.Length} inserted rows in tb1: the transaction is rolled back.");
        }

        users.AddRange(created);
    }

    private List<Range> Chunks(string[] names)
    {
        long most = Math.Min(MaxBytesOfInsert, (_table?.MaxPacket ?? MaxBytesOfInsert) / 2);
        var chunks = new List<Range>(1);
        int start = 0;
        long bytes = 0;
        for (int index = 0; index < names.Length; index++)
        {
            // Escaping may double a character; 16 bytes for the statement's own text of a row.
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

    // The refusal if the names are invalid or the table cannot be read; else null.
    private async Task<Reply<T>?> ProblemAsync<T>(
        string[] names, bool areNew, Deadline deadline, CancellationToken cancellationToken)
    {
        // Names that no table accepts are refused without a connection.
        if (FirstProblem<T>(names, static name => UserNames.Problem(name, long.MaxValue)) is { } wrong) return wrong;

        Reply<UserTable> table = await TableAsync(deadline, cancellationToken);
        if (table.Status != ReplyStatus.Ok) return Failed<T, UserTable>(table);

        Reply<T>? problem = ProblemOf<T>(table.Value!, names, areNew);
        if (problem is null || !_refusalDue.HasPassed()) return problem;

        table = await ReadTableAsync(deadline, cancellationToken);
        return table.Status == ReplyStatus.Ok
            ? ProblemOf<T>(table.Value!, names, areNew)
            : Failed<T, UserTable>(table);
    }

    private static Reply<T>? ProblemOf<T>(UserTable table, string[] names, bool areNew)
    {
        // No such table or column: the statement's own error reports it.
        if (!table.HasName) return null;
        if (!table.HoldsText) return Reply.Ended<T>(ReplyStatus.Failed, "the column tb1.name does not hold any text");
        if (areNew && !table.GivesIds) return Reply.Ended<T>(ReplyStatus.Failed, "tb1 gives no ids");
        if (names.Length > 1 && !table.IsTransactional)
            return Reply.Invalid<T>("a batch has 1 user here: the table is NOT TRANSACTIONAL");

        return FirstProblem<T>(names, name => !table.KeepsTrailingSpaces && name.EndsWith(' ')
            ? "name ends in a space, which the column does not keep"
            : UserNames.Problem(name, table.MaxLength));
    }

    private static Reply<T>? FirstProblem<T>(string[] names, Func<string, string?> judge)
    {
        foreach (string name in names)
        {
            if (judge(name) is { } problem) return Reply.Invalid<T>(problem);
        }

        return null;
    }

    private async Task<Reply<UserTable>> TableAsync(Deadline deadline, CancellationToken cancellationToken)
    {
        if (_table is not { } known) return await ReadTableAsync(deadline, cancellationToken);
        if (!_tableDue.HasPassed()) return Reply.Ok(known);

        // One call reads the table; meanwhile the others use the known description.
        _tableDue = Deadline.After(TableLifetime);
        return await ReadTableAsync(deadline, cancellationToken);
    }

    private async Task<Reply<UserTable>> ReadTableAsync(Deadline deadline, CancellationToken cancellationToken)
    {
        if (Pool.Dialect == SqlDialect.Sqlite) return Reply.Ok(UserTable.Embedded);

        Reply<UserTable> table = await ReadAsync(deadline, cancellationToken, static async (connection, token) =>
            Reply.Ok(await UserTable.ReadAsync(connection, token)));

        // A missing table is looked up again at the next write.
        if (table is { Status: ReplyStatus.Ok, Value: { HasName: true } read })
        {
            _table = read;
            _refusalDue = Deadline.After(RefusalLifetime);
            _tableDue = Deadline.After(TableLifetime);
        }

        return table;
    }

    private static Reply<T> Failed<T, TFailed>(Reply<TFailed> reply) =>
        new() { Status = reply.Status, Refusal = reply.Refusal, Detail = reply.Detail };

    private static Reply<User> Found(List<User> users) => users.Count > 0 ? Reply.Ok(users[0]) : Reply.NotFound<User>();

    private static bool IsRefused(DbException exception) =>
        UserErrors.IsNameError(exception) || UserErrors.IsWriteError(exception);

    private static Reply<T> Refused<T>(DbException exception) => UserErrors.IsNameError(exception)
        ? RefusedName<T>()
        : Reply.Ended<T>(ReplyStatus.Failed, "the database failed the statement");

    private static Reply<T> RefusedName<T>() => Reply.Invalid<T>("name cannot be held by the column");
}
