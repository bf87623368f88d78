using System.Text.Json;
using System.Text.Json.Serialization;
using UPool.Grains;
using UPool.Management;

namespace UPool.Api.Users;

/// <summary>A user, in the envelope.</summary>
internal sealed record UserReply(int Code, string Msg, User Data);

/// <summary>Users, in the envelope.</summary>
internal sealed record UsersReply(int Code, string Msg, User[] Data);

/// <summary>A page of users, in the envelope; <c>next</c> is there when more rows exist.</summary>
internal sealed record UserPageReply(int Code, string Msg, User[] Data, long? Next)
{
    /// <summary>Writes one round rows that are JSON already.</summary>
    public static void Write(Utf8JsonWriter json, UserPage page)
    {
        json.WriteStartObject();
        json.WriteNumber("code"u8, 1);
        json.WriteString("msg"u8, "ok"u8);
        json.WritePropertyName("data"u8);
        json.WriteRawValue(page.Json.Span, skipInputValidation: true);
        if (page.Next is { } next) json.WriteNumber("next"u8, next);
        json.WriteEndObject();
    }
}

/// <summary>A user to be created or renamed. Read by <see cref="UserBody"/>; here for the OpenAPI document.</summary>
internal sealed record NewUser(string Name);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    GenerationMode = JsonSourceGenerationMode.Metadata)]
[JsonSerializable(typeof(Envelope))]
[JsonSerializable(typeof(UserReply))]
[JsonSerializable(typeof(UsersReply))]
[JsonSerializable(typeof(UserPageReply))]
[JsonSerializable(typeof(NewUser))]
[JsonSerializable(typeof(NewUser[]))]
internal sealed partial class UserJson : JsonSerializerContext;
