using System.Data.Common;

namespace UPool.Grains;

/// <summary>The reads of <c>tb1</c> that many ask at the same time.</summary>
internal sealed class UserReads
{
    private const int MaxIds = SharedLookup<long, User>.MaxKeys;

    // The statements for 1, 2, 4 and so on ids, by the binary logarithm of their number.
    private static readonly FixedSelect[] Get =
        [.. Enumerable.Range(0, int.Log2(MaxIds) + 1).Select(static power => UserStatements.Get(1 << power))];

    private static readonly string[] IdParameters =
        [.. Enumerable.Range(0, MaxIds).Select(UserStatements.IdParameter)];

    /// <summary>Makes the reads of a silo.</summary>
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

    private static async Task<UserPage> ReadPageAsync(
        PooledConnection connection, UserPageKey key, CancellationToken token)
    {
        await using PooledCommand command = CreateCommand(connection, UserStatements.List);
        Add(command, "@after", key.After);

        // One row more than asked for tells whether there are more.
        Add(command, "@count", key.Limit + 1L);
        return await command.ReadAllAsync(
            async reader =>
            {
                using var page = new UserPageWriter();
                for (int count = 0; await reader.ReadAsync(CancellationToken.None); count++)
                {
                    if (count == key.Limit) return page.Finish(hasMore: true);

                    page.Add(reader.GetInt64(0), NameOf(reader));
                }

                return page.Finish(hasMore: false);
            },
            token);
    }

    private static async Task<IReadOnlyDictionary<long, User>> ReadUsersAsync(
        PooledConnection connection, IReadOnlyList<long> ids, CancellationToken token)
    {
        await using PooledCommand command = CreateCommand(connection, Get[int.Log2(ids.Count)]);
        for (int i = 0; i < ids.Count; i++) Add(command, IdParameters[i], ids[i]);
        return await command.ReadAllAsync(
            async reader =>
            {
                var users = new Dictionary<long, User>(ids.Count);
                while (await reader.ReadAsync(CancellationToken.None))
                {
                    User user = UserOf(reader);
                    users[user.Id] = user;
                }

                return (IReadOnlyDictionary<long, User>)users;
            },
            token);
    }

    /// <summary>The user of a row of id and name.</summary>
    /// <remarks>By position rather than mapped: an existing table's id may be INT or UNSIGNED, and the reader converts
    /// those.</remarks>
    public static User UserOf(DbDataReader reader) => new(reader.GetInt64(0), NameOf(reader));

    private static string NameOf(DbDataReader reader) => reader.IsDBNull(1) ? "" : reader.GetString(1);

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

/// <summary>A page that is asked for.</summary>
/// <param name="Limit">The most users.</param>
/// <param name="After">Only ids above this one.</param>
internal readonly record struct UserPageKey(int Limit, long After);
