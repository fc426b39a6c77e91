"""A person with matrix-nio: log in with a password, sync, write, read, log out. Prints what happened as JSON."""

import asyncio
import json
import sys

from nio import AsyncClient, LoginError, RoomMessageText


async def story(homeserver, user, password, device_id):
    told = {}
    stranger = AsyncClient(homeserver, user)
    refused = await stranger.login("not the password")
    told["refused"] = refused.status_code if isinstance(refused, LoginError) else "let in"
    await stranger.close()

    client = AsyncClient(homeserver, user, device_id=device_id)
    heard = []
    client.add_event_callback(lambda room, event: heard.append(event.body), RoomMessageText)
    login = await client.login(password, device_name="nio")
    told["login"] = {"user_id": login.user_id, "device_id": login.device_id}
    room = await client.room_create(name="From Python")
    await client.room_send(room.room_id, "m.room.message", {"msgtype": "m.text", "body": "hello from nio"})
    await client.sync(timeout=3000, full_state=True)
    told["heard"] = heard
    told["devices"] = {device.id: device.display_name for device in (await client.devices()).devices}
    token = client.access_token
    told["logout"] = type(await client.logout()).__name__

    # Synapse keeps what it knows of a token until its device is gone, which takes a moment.
    client.access_token = token
    for _ in range(75):
        told["after"] = getattr(await client.whoami(), "status_code", "still good")
        if told["after"] != "still good":
            break
        await asyncio.sleep(0.2)
    await client.close()
    return told


arguments = json.loads(sys.argv[1])
print(json.dumps(asyncio.run(story(**arguments))))
