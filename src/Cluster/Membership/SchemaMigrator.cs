using System.Data.Common;
using System.Globalization;
using Microsoft.Extensions.Logging;

namespace UPool.Cluster.Membership;

/// <summary>Applies schema scripts to a MySQL or MariaDB database.</summary>
/// <remarks>
/// Safe to run again and by several processes at once: every statement is idempotent, and <c>GET_LOCK</c> admits one
/// process at a time, so that none sees a half-applied schema. Nothing is ever dropped or altered.
/// The account needs CREATE, CREATE ROUTINE, EXECUTE, SELECT, INSERT and UPDATE on the database.
/// </remarks>
public static partial class SchemaMigrator
{
    /// <summary>How long one process waits for another that applies the schema.</summary>
    public static readonly TimeSpan LockTimeout = TimeSpan.FromSeconds(60);

    // A table used by a long transaction would otherwise hold the start for the server's default: a day.
    private const int TableLockSeconds = 30;

    // Above both waits, so that the server's own error, which names what was waited for, comes first.
    private const int CommandSeconds = 90;

    // Contains the database's name, because the lock is one for the whole server; hashed, because MySQL allows 64
    // characters.
    private const string LockName = "CONCAT('upool.schema.', LEFT(SHA2(DATABASE(), 256), 40))";

    /// <summary>Applies the scripts in order, on one connection.</summary>
    /// <param name="dataSource">Its connection string names the database.</param>
    /// <param name="scripts">For example <see cref="ClusterSchema.Scripts"/> and the application's own.</param>
    /// <param name="logger">The log for the applied scripts.</param>
    /// <param name="cancellationToken">Stops between statements and while waiting.</param>
    /// <exception cref="SchemaMigrationException">A statement of a required script failed, no database is selected, or
    /// another process held the lock for longer than <see cref="LockTimeout"/>.</exception>
    /// <exception cref="DbException">The database cannot be reached or refuses the account.</exception>
    public static async Task ApplyAsync(
        DbDataSource dataSource,
        IEnumerable<SchemaScript> scripts,
        ILogger logger,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(dataSource);
        ArgumentNullException.ThrowIfNull(scripts);
        ArgumentNullException.ThrowIfNull(logger);

        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        var database = await ScalarAsync(connection, "SELECT DATABASE()", cancellationToken);
        if (database.Length == 0)
        {
            throw new SchemaMigrationException("The connection string names no database: add 'Database=…'.");
        }

        var seconds = LockTimeout.TotalSeconds.ToString(CultureInfo.InvariantCulture);
        if (await ScalarAsync(connection, $"SELECT GET_LOCK({LockName}, {seconds})", cancellationToken) != "1")
        {
            throw new SchemaMigrationException(
                $"Another process has been applying the schema to database '{database}' for {seconds} s. Look at the " +
                "server's process list for what it waits for, then start again.");
        }

        try
        {
            await ExecuteAsync(
                connection, $"SET SESSION lock_wait_timeout = {TableLockSeconds}", null, cancellationToken);
            var names = new List<string>();
            foreach (var script in scripts.OrderByDescending(static script => script.IsRequired))
            {
                try
                {
                    LogApplied(logger, script.Name, await ApplyAsync(connection, script, cancellationToken));
                    names.Add(script.Name);
                }
                catch (SchemaMigrationException exception) when (!script.IsRequired)
                {
                    LogLeftOut(logger, exception.Message.ReplaceLineEndings(" "));
                }
            }

            LogUpToDate(logger, database, string.Join(", ", names));
        }
        finally
        {
            await ReleaseAsync(connection);
        }
    }

    private static async Task<int> ApplyAsync(
        DbConnection connection, SchemaScript script, CancellationToken cancellationToken)
    {
        const string Upsert =
            "INSERT INTO OrleansQuery (QueryKey, QueryText) VALUES (@key, @text) " +
            "ON DUPLICATE KEY UPDATE QueryText = @text";

        var number = 0;
        foreach (var statement in script.Statements())
        {
            number++;
            try
            {
                await (statement.QueryKey is null
                    ? ExecuteAsync(connection, statement.Text, null, cancellationToken)
                    : ExecuteAsync(connection, Upsert, statement, cancellationToken));
            }
            catch (DbException exception)
            {
                var what = statement.QueryKey is null ? "" : $" (query {statement.QueryKey})";
                throw new SchemaMigrationException(
                    $"Schema script '{script.Name}', statement {number}{what} failed: {exception.Message}", exception);
            }
        }

        return number;
    }

    private static async Task ExecuteAsync(
        DbConnection connection, string text, SchemaStatement? query, CancellationToken cancellationToken)
    {
        await using var command = CreateCommand(connection, text);
        if (query is { } stored)
        {
            AddParameter(command, "@key", stored.QueryKey);
            AddParameter(command, "@text", stored.Text);
        }

        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    private static async Task<string> ScalarAsync(
        DbConnection connection, string text, CancellationToken cancellationToken)
    {
        await using var command = CreateCommand(connection, text);
        var value = await command.ExecuteScalarAsync(cancellationToken);
        return Convert.ToString(value, CultureInfo.InvariantCulture) ?? "";
    }

    private static async Task ReleaseAsync(DbConnection connection)
    {
        try
        {
            await ExecuteAsync(
                connection, $"DO RELEASE_LOCK({LockName}); SET SESSION lock_wait_timeout = DEFAULT", null,
                CancellationToken.None);
        }
        catch (Exception exception) when (exception is DbException or InvalidOperationException)
        {
            // The connection broke: the server has released the lock with it, and the cause is already being thrown.
        }
    }

    private static DbCommand CreateCommand(DbConnection connection, string text)
    {
        var command = connection.CreateCommand();
        command.CommandText = text;
        command.CommandTimeout = CommandSeconds;
        return command;
    }

    private static void AddParameter(DbCommand command, string name, string? value)
    {
        var parameter = command.CreateParameter();
        parameter.ParameterName = name;
        parameter.Value = value;
        command.Parameters.Add(parameter);
    }
}
