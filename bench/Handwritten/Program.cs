// The other side of the comparison: what a careful engineer writes by hand over MySqlConnector's own pool, with the
// same replies. The connection string decides its pool's settings.
using System.Text.Json.Serialization;

using MySqlConnector;

using UPool.Bench.Handwritten;

WebApplicationBuilder builder = WebApplication.CreateSlimBuilder(args);
builder.Logging.ClearProviders();
builder.WebHost.ConfigureKestrel(static kestrel => kestrel.AddServerHeader = false);
builder.Services.ConfigureHttpJsonOptions(static json =>
    json.SerializerOptions.TypeInfoResolverChain.Insert(0, Json.Default));
string connectionString = builder.Configuration.GetConnectionString("UPool")
    ?? throw new InvalidOperationException("ConnectionStrings:UPool is missing.");
await using var database = new MySqlDataSource(connectionString);
WebApplication app = builder.Build();

app.MapGet("/", static () => new Reply(1, "API is running", null));
app.MapGet("/user/list", async (CancellationToken token) =>
{
    await using MySqlConnection connection = await database.OpenConnectionAsync(token);
    await using var command = new MySqlCommand("SELECT `id`,`name` FROM `tb1` ORDER BY `id` LIMIT 10000", connection);
    await using MySqlDataReader reader = await command.ExecuteReaderAsync(token);
    List<User> users = [];
    while (await reader.ReadAsync(token)) users.Add(new User(reader.GetInt64(0), reader.GetString(1)));
    return new Reply(1, "ok", users);
});
app.MapGet("/user/{id:long}", async (long id, CancellationToken token) =>
{
    await using MySqlConnection connection = await database.OpenConnectionAsync(token);
    await using var command = new MySqlCommand("SELECT `id`,`name` FROM `tb1` WHERE `id` = @id", connection);
    command.Parameters.AddWithValue("@id", id);
    await using MySqlDataReader reader = await command.ExecuteReaderAsync(token);
    return await reader.ReadAsync(token)
        ? Results.Ok(new UserReply(1, "ok", new User(reader.GetInt64(0), reader.GetString(1))))
        : Results.NotFound(new Reply(0, "not found", null));
});
app.Run();

namespace UPool.Bench.Handwritten
{
    internal sealed record User(long Id, string Name);

    internal sealed record Reply(int Code, string Msg, List<User>? Data);

    internal sealed record UserReply(int Code, string Msg, User Data);

    [JsonSourceGenerationOptions(
        PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
    [JsonSerializable(typeof(Reply))]
    [JsonSerializable(typeof(UserReply))]
    internal sealed partial class Json : JsonSerializerContext;
}
