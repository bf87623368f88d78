using Microsoft.Extensions.Logging;

using MySqlConnector;

namespace UPool.MySql;

/// <summary>Opens sessions of one account.</summary>
internal sealed class SessionSource(
    MySqlConnectionStringBuilder settings, ILoggerFactory? loggers, SignInGate signIns) : IAsyncDisposable
{
    private readonly MySqlDataSource _dataSource = MySqlSettings.Build(settings, loggers);
    private readonly SignIn _signIn = new(settings.UserID, settings.Password);

    /// <summary>Creates a connection that is not open.</summary>
    public MySqlConnection CreateConnection() => _dataSource.CreateConnection();

    /// <summary>Opens the connection. The driver gets no token: its cancellation blocks, and opens a session that no
    /// permit covers.</summary>
    public Task OpenAsync(MySqlConnection connection) => signIns.OpenAsync(connection, _signIn);

    public ValueTask DisposeAsync() => _dataSource.DisposeAsync();
}
