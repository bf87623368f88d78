using MySqlConnector;

namespace UPool.Testing;

/// <summary>Checks the server that <see cref="SharedServer.Variable"/> names before any test uses it.</summary>
internal static class GivenServer
{
    // Enough for a busy machine; the limit is for a host that drops packets.
    private const uint ConnectSeconds = 30;

    /// <summary>
    /// The entry point of this library for <c>./test.sh</c>: prints the server's family and version, or one line on
    /// standard error with the reason why the server cannot be used.
    /// </summary>
    public static async Task<int> Main()
    {
        try
        {
            var given = Environment.GetEnvironmentVariable(SharedServer.Variable) ?? "";
            var (family, version) = await LookAsync(given);
            Console.WriteLine($"{family} {version}");
            return 0;
        }
        catch (InvalidOperationException exception)
        {
            await Console.Error.WriteLineAsync(exception.Message);
            return 1;
        }
    }

    /// <summary>Returns the family and the version of the server.</summary>
    /// <exception cref="InvalidOperationException">The tests cannot use the server; the message gives the reason,
    /// without a secret.</exception>
    public static async Task<(string Family, string Version)> LookAsync(string connectionString)
    {
        MySqlConnectionStringBuilder parts = Parse(connectionString);
        var server = $"{parts.Server}:{parts.Port}";
        await using var connection = new MySqlConnection(parts.ConnectionString);
        try
        {
            await connection.OpenAsync();
        }
        catch (MySqlException exception)
        {
            throw Unusable(exception.ErrorCode == MySqlErrorCode.AccessDenied
                ? $"{server} refuses its User ID or its Password (error 1045)"
                : $"cannot open a session on {server}: {Words(exception)}");
        }

        try
        {
            await using var database = await TestDatabase.CreateAsync(parts.ConnectionString);
            await using var command = connection.CreateCommand();
            command.CommandText = "SELECT VERSION()";
            var version = Convert.ToString(await command.ExecuteScalarAsync()) ?? "";
            return (ServerFamily.NameOf(version), version);
        }
        catch (MySqlException exception)
        {
            throw Unusable($"its account may not create and drop databases on {server} ({Words(exception)})");
        }
    }

    private static MySqlConnectionStringBuilder Parse(string connectionString)
    {
        try
        {
            var parts = new MySqlConnectionStringBuilder(connectionString);
            if (parts.Server.Length == 0) throw new ArgumentException("Server is missing");

            parts.Pooling = false;
            parts.ConnectionTimeout = ConnectSeconds;
            return parts;
        }
        catch (Exception exception) when (exception is ArgumentException or FormatException or OverflowException
            or InvalidOperationException)
        {
            // The driver's message may quote a value.
            throw Unusable(
                "not a connection string of MySqlConnector; example: "
                + "'Server=127.0.0.1;Port=3306;User ID=…;Password=…'");
        }
    }

    private static InvalidOperationException Unusable(string why) => new($"{SharedServer.Variable}: {why}");

    private static string Words(Exception exception) =>
        (exception.InnerException ?? exception).Message.ReplaceLineEndings(" ").Trim();
}
