using System.Data.Common;

namespace UPool.Grains;

/// <summary>The reads of <c>tb1</c> that callers share.</summary>
internal sealed class UserReads
{
    private const int MaxIds = SharedLookup<long, User>.MaxKeys;

    // The statements for 1, 2, 4, … ids, indexed by the binary logarithm of their number.
    private static readonly FixedSelect[] Get =
        [.. Enumerable.Range(0, int.Log2(MaxIds) + 1).Select(static power => UserStatements.Get(1 << power))];

    private static readonly string[] IdParameters =
        [.. Enumerable.Range(0, MaxIds).Select(UserStatements.IdParameter)];

    // Set once, by the first read that needs converted columns.
    private volatile bool _areConverted;

    /// <summary>Creates the reads of a silo.</summary>
    /// <param name="pool">The silo's pool.</param>
    /// <param name="isShared">Whether callers share them.</param>
    public UserReads(PooledDataSource pool, bool isShared)
    {
        Pages = new SharedRead<UserPageKey, UserPage>("users.list", pool, UserStatements.List, ReadPageAsync)
        {
            IsShared = isShared,
        };
        Users = new SharedLookup<long, User>("users.get", pool, Get, ReadUsersAsync) { IsShared = isShared };
    }

    /// <summary>Pages of users.</summary>
    public SharedRead<UserPageKey, UserPage> Pages { get; }

    /// <summary>Users by id.</summary>
    public SharedLookup<long, User> Users { get; }

    private async Task<UserPage> ReadPageAsync(PooledConnection connection, UserPageKey key, CancellationToken token)
    {
        await using PooledCommand command = CreateCommand(connection, UserStatements.List);
        Add(command, "@after", key.After);

        // One row more than the limit shows whether more rows exist.
        Add(command, "@count", key.Limit + 1L);
        return await ReadAsync<UserPage>(
            command,
            UserStatements.List,
            async reader =>
            {
                if (!UserRows.AreReadable(reader)) return null;

                using var page = new UserPageWriter();
                for (int count = 0; await reader.ReadAsync(CancellationToken.None); count++)
                {
                    if (count == key.Limit) return page.Finish(hasMore: true);

                    page.Add(UserRows.IdOf(reader), UserRows.NameOf(reader));
                }

                return page.Finish(hasMore: false);
            },
            token);
    }

    private async Task<IReadOnlyDictionary<long, User>> ReadUsersAsync(
        PooledConnection connection, IReadOnlyList<long> ids, CancellationToken token)
    {
        FixedSelect select = Get[int.Log2(ids.Count)];
        await using PooledCommand command = CreateCommand(connection, select);
        for (int i = 0; i < ids.Count; i++) Add(command, IdParameters[i], ids[i]);
        return await ReadAsync<IReadOnlyDictionary<long, User>>(
            command,
            select,
            async reader =>
            {
                if (!UserRows.AreReadable(reader)) return null;

                var users = new Dictionary<long, User>(ids.Count);
                while (await reader.ReadAsync(CancellationToken.None))
                {
                    User user = UserRows.UserOf(reader);
                    users[user.Id] = user;
                }

                return users;
            },
            token);
    }

    // Reads the columns as they are. If the driver does not return a whole number and a text, reads again with columns
    // that the server converts, and from then on always so.
    private async Task<T> ReadAsync<T>(
        PooledCommand command, FixedSelect select, Func<DbDataReader, Task<T?>> read, CancellationToken token)
        where T : class
    {
        if (!_areConverted && await command.ReadAllAsync(read, token) is { } rows) return rows;

        _areConverted = true;
        command.CommandText = UserStatements.Converted(select);
        return await command.ReadAllAsync(read, token)
            ?? throw new InvalidOperationException("The columns of tb1 cannot be read as a whole number and a text.");
    }

    private static PooledCommand CreateCommand(PooledConnection connection, FixedSelect select)
    {
        var command = (PooledCommand)connection.CreateCommand();
        command.CommandText = select.Text;
        return command;
    }

    private static void Add(PooledCommand command, string name, long value)
    {
        DbParameter parameter = command.CreateParameter();
        parameter.ParameterName = name;
        parameter.Value = value;
        command.Parameters.Add(parameter);
    }
}

/// <summary>The key of a page.</summary>
/// <param name="Limit">The most users.</param>
/// <param name="After">Only ids above this one.</param>
internal readonly record struct UserPageKey(int Limit, long After);
